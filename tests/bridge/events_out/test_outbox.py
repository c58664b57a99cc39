"""The order of what is posted, and how long it is tried."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from offhook.bridge.events_out.messages import CallFacts, Number, StatusUpdate, TranscriptUpdate
from offhook.bridge.events_out.outbox import GIVE_UP_S, LIMIT, LONGEST_PAUSE_S, Letter, Outbox, Room

CALL = CallFacts("CA1", "Shop", Number(""), Number(""))


def letter(number: int) -> Letter:
    return Letter(StatusUpdate(timestamp=number, call=CALL, status="in-progress"), f"msg_{number}")


def partial(number: int) -> Letter:
    told = TranscriptUpdate(
        timestamp=number, call=CALL, role="user", transcript_type="partial", transcript="I"
    )
    return Letter(told, f"msg_{number}")


def box(room: Room | None = None) -> Outbox:
    return Outbox(lambda: 1.0, room or Room())


def test_a_letter_that_failed_is_first_until_it_is_delivered() -> None:
    outbox = box()
    outbox.add(letter(1))
    outbox.add(letter(2))
    assert outbox.failed(0.0) == []
    assert (outbox.head, outbox.due_at) == (letter(1), 0.5)
    outbox.delivered()
    assert outbox.head == letter(2)


def test_pauses_double_up_to_half_a_minute_and_begin_anew_after_a_success() -> None:
    outbox = box()
    outbox.add(letter(1))
    outbox.add(letter(2))
    pauses = []
    for _ in range(9):
        outbox.failed(0.0)
        pauses.append(outbox.due_at)
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    outbox.delivered()
    outbox.failed(0.0)
    assert outbox.due_at == 0.5


def test_a_receiver_that_asks_for_a_pause_gets_one_that_is_bounded() -> None:
    outbox = box()
    outbox.add(letter(1))
    outbox.failed(0.0, 7.0)
    assert outbox.due_at == 7.0
    outbox.failed(0.0, 1e9)
    assert outbox.due_at == LONGEST_PAUSE_S


def test_a_receiver_that_stays_away_is_given_up_with_all_that_waits_and_comes_later() -> None:
    outbox = box()
    outbox.add(letter(1))
    outbox.add(letter(2))
    outbox.failed(0.0)
    assert outbox.failed(GIVE_UP_S) == [letter(1), letter(2)]
    assert outbox.add(letter(3)) == [letter(3)]
    assert outbox.head is None


def test_what_a_receiver_refuses_does_not_hold_up_the_rest() -> None:
    outbox = box()
    outbox.add(letter(1))
    outbox.add(letter(2))
    assert outbox.refused() == letter(1)
    assert outbox.head == letter(2)


def test_one_letter_too_many_gives_the_receiver_up_and_loses_none() -> None:
    outbox = box()
    for number in range(LIMIT):
        assert outbox.add(letter(number)) == []
    dead = outbox.add(letter(LIMIT))
    assert [item.message.timestamp for item in dead] == list(range(LIMIT + 1))


def test_what_a_later_message_says_again_is_dropped_first_and_nothing_else() -> None:
    room = Room()
    outbox = box(room)
    for number in range(LIMIT):
        outbox.add(partial(number) if number % 2 else letter(number))
    for number in range(LIMIT, LIMIT + LIMIT // 2):
        assert outbox.add(letter(number)) == []
    assert (outbox.dropped, len(outbox), room.held) == (LIMIT // 2, LIMIT, LIMIT)
    dead = outbox.add(letter(LIMIT + LIMIT // 2))
    told = [item.message.timestamp for item in dead]
    assert told == [*range(0, LIMIT, 2), *range(LIMIT, LIMIT + LIMIT // 2 + 1)]
    assert room.held == 0


def test_the_first_letter_is_never_dropped_since_it_may_be_under_way() -> None:
    outbox = box()
    outbox.add(partial(0))
    for number in range(1, LIMIT):
        outbox.add(letter(number))
    assert outbox.add(letter(LIMIT))[0].id == "msg_0"


@given(st.lists(st.sampled_from(["add", "delivered", "failed", "refused", "later"]), max_size=80))
def test_every_letter_comes_out_once_and_in_order(steps: list[str]) -> None:
    room = Room()
    outbox, now, added = box(room), 0.0, 0
    out: list[Letter] = []
    for step in steps:
        head = outbox.head
        if step == "add":
            added += 1
            out += outbox.add(letter(added))
        elif step == "later":
            now += GIVE_UP_S / 2
        elif head is not None and step == "delivered":
            out.append(head)
            outbox.delivered()
        elif head is not None and step == "refused":
            out.append(outbox.refused())
        elif head is not None:
            out += outbox.failed(now)
        assert room.held == len(outbox)
    out += outbox.give_up("the end")
    assert out == [letter(number) for number in range(1, added + 1)]
