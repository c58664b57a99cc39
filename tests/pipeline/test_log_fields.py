"""What reaches the log."""

from __future__ import annotations

from offhook.pipeline.log_fields import failure_fields, masked_number


def failure() -> Exception:
    try:
        raise ValueError("my card number is 4111")
    except ValueError as error:
        return error


def test_of_a_number_only_the_last_digits_show() -> None:
    assert masked_number("+15550100267") == "…67"
    assert masked_number("") == ""


def test_an_exception_is_logged_by_type_and_place_not_by_its_words() -> None:
    fields = failure_fields(failure(), log_words=False)
    assert fields["error"] == "ValueError"
    assert fields["where"][-1].startswith("test_log_fields.py:")
    assert "4111" not in str(fields)


def test_words_are_logged_where_they_may_be() -> None:
    assert "4111" in str(failure_fields(failure(), log_words=True)["exc_info"])
