"""The clocks of cameras: what they report, and what the headers say then."""
