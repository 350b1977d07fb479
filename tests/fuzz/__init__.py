"""Fuzz tests of reply decoders, checked against independent decoders."""
