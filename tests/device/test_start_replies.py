from __future__ import annotations

from alpaca_async._device.start_replies import StartReplies

USUAL = 10.0


def test_nothing_is_known_of_a_camera_before_its_first_exposure() -> None:
    assert not StartReplies().come_at_once(600)


def test_a_camera_that_answered_at_once_does_so_for_longer_exposures() -> None:
    replies = StartReplies()
    replies.answered(60, 0.1, USUAL)
    assert replies.come_at_once(60)
    assert replies.come_at_once(600)
    assert not replies.come_at_once(10)


def test_a_camera_that_answers_at_the_end_is_given_the_time() -> None:
    replies = StartReplies()
    replies.answered(1, 1.2, USUAL)
    replies.answered(0, 0.01, USUAL)
    assert not replies.come_at_once(1)


def test_an_answer_at_the_end_refutes_what_was_learned() -> None:
    replies = StartReplies()
    replies.answered(1, 0.1, USUAL)
    replies.answered(60, 60.1, USUAL)
    assert not replies.come_at_once(60)


def test_a_reply_that_takes_longer_than_others_is_not_one_at_once() -> None:
    replies = StartReplies()
    replies.answered(600, 20, USUAL)
    assert not replies.come_at_once(600)


def test_a_reply_that_comes_ever_later_refutes_what_was_learned() -> None:
    replies = StartReplies()
    replies.answered(60, 0.1, USUAL)
    replies.answered(600, 8, USUAL)
    assert not replies.come_at_once(600)
