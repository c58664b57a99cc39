"""Turn-taking: who has the floor, decided in one place.

Theory of operation. Evidence comes in with the time (`feed`), actions go out; nothing here waits,
and there is no other arbiter. Every wait is a named deadline, and `next_deadline` tells the shell
when to call `advance`. Silence is counted in the caller's audio (`Activity.media_s`), so frames that
come late are no silence; waits for our own parts are counted on the clock.

The caller takes the floor by speaking (IDLE -> LISTENING). Silence beyond the patience that the
words ask for, with words that are final up to the last sound, ends the turn (-> PROCESSING); the
first audio written makes it RESPONDING; the last mark heard gives the floor back (-> LISTENING).

When the caller makes a sound while a reply is being made or played, the floor is contested (`contest`):
the reply is paused, then words decide. A commit before the first audio was written withdraws the reply,
and the caller's words go on from the turn that asked for it: two breaths, one turn, one answer.

While a silence is waited out the reply may be prepared on speculation, from the words so far. It is
used if the turn ends with the same words, and dropped when they change or news comes.

What the agent wants to say unasked (greeting, answers of tools, prompts, goodbye) waits on the agenda
until nobody has the floor. A goodbye that is heard to its end ends the call; a caller who cuts into
it takes the call up again.

Rule: everything that moves the state is in this file, and every move is in TRANSITIONS.
"""

from __future__ import annotations

__all__ = ["TRANSITIONS", "TurnTaking"]

from collections import deque
from collections.abc import Mapping
from dataclasses import replace

from offhook.config.turn_taking import TurnTaking as Settings

from .caller_words import CallerWords
from .contest import Contest, Ruling, Verdict
from .endpointing import Endpointing
from .evidence import (
    Action,
    Activity,
    AgentBusy,
    AgentSpoke,
    AgentWants,
    CallerReads,
    CallerTurn,
    CloseWanted,
    CommitInterruption,
    Decided,
    DigitPressed,
    EndCall,
    EndUtterance,
    Evidence,
    Fault,
    Goodbye,
    Hearing,
    KeysWanted,
    LineClosed,
    News,
    Origin,
    PausePlayout,
    ReplyAudible,
    ReplyEmpty,
    ReplyPlayed,
    ReplyProtected,
    ResumePlayout,
    Say,
    StartReply,
    State,
    StateChanged,
    TextSent,
    WithdrawReply,
    Words,
)
from .expectations import Expectations
from .listening import Late, Listening, Noise, Outcome, TurnOver, Unheard
from .phrases import Meaning, PhraseBook, is_echo
from .speculation import Speculation
from .spoken_language import spoken_language

TRANSITIONS: Mapping[State, Mapping[State, str]] = {
    State.IDLE: {
        State.LISTENING: "the caller speaks, or presses a key",
        State.PROCESSING: "the agent has something to say: greeting, tool's answer, prompt, filler, goodbye",
        State.ERROR: "a part failed",
        State.ENDED: "the line is gone, or the call is to end and nothing is left to say",
    },
    State.LISTENING: {
        State.PROCESSING: "the turn has ended, a reply is being made",
        State.IDLE: "the agent has something to say and nobody has the floor; processing follows at once",
        State.ERROR: "a part failed, or clear speech brought no words",
        State.ENDED: "the line is gone, or the call is to end and nothing is left to say",
    },
    State.PROCESSING: {
        State.RESPONDING: "the first audio of the reply was written",
        State.LISTENING: "the caller goes on before a word was heard: reply withdrawn, words joined",
        State.IDLE: "the reply was empty: a tool was asked for, and nothing is to be said yet",
        State.ERROR: "the reply failed, or was not there in time",
        State.ENDED: "the line is gone, the goodbye was empty, or its time is up",
    },
    State.RESPONDING: {
        State.LISTENING: "the last mark was heard",
        State.IDLE: "the caller cut in; listening follows at once",
        State.ERROR: "the reply failed on its way",
        State.ENDED: "the goodbye was heard, the line is gone, or the time for the goodbye is up",
    },
    State.ERROR: {
        State.IDLE: "at once; the apology is said next",
        State.LISTENING: "allowed for a part that recovers; nothing takes it today",
        State.ENDED: "too many faults in a row, or the goodbye itself or the apology failed",
    },
    State.ENDED: {},
}
"""Every move that is allowed, with the reason that the documentation gives for it; any other raises."""

AGENDA_LIMIT = 16
CLOSE_WITHIN_S = 15.0
"""A call whose end cannot be taken back ends after so long, whoever has the floor."""
ANSWER_WITHIN_S = 1.0
"""A backchannel so close to the end of a question was the answer to it."""
FAULTS_IN_A_ROW = 3
"""So many lost replies end the call."""
DEAF_FOR_S = 3.0
"""A caller who waits so long for a recogniser to come back is told to."""


class TurnTaking:
    """The arbiter of one call: who has the floor, what the agent owes, and when the call ends."""

    def __init__(
        self,
        settings: Settings,
        *,
        language: str = "en",
        goodbye: str,
        apology: str,
        one_moment: str = "",
        handover: str | None = None,
        goodbye_interruptible: bool = True,
        speculates: bool = False,
        endpointing: Endpointing | None = None,
    ) -> None:
        self._settings = settings
        self._book = PhraseBook.of(settings, language)
        self._goodbye, self._apology, self._one_moment = goodbye, apology, one_moment
        self._handover = handover
        """What is said before the call is handed to somebody else; None: there is nobody."""
        self._goodbye_interruptible = goodbye_interruptible
        self.state = State.IDLE
        self._endpointing = endpointing or Endpointing(
            settings, language, Expectations(spoken_language(language))
        )
        self._listening = Listening(settings, self._book, self._endpointing)
        self._contest = Contest(settings, self._book, self.words)
        self._speculation = Speculation(settings.max_speculations if speculates else 0, self._new_number)
        self._keys_wanted = False
        self._turn = 0
        self._turn_text = ""
        self._backchannel = ("", 0.0)
        """The last one over a reply, and where it ended in the caller's audio."""
        self._reply: int | None = None
        self._replies = 0
        self._origin: Origin | None = None
        self._protected = False
        self._closing: CloseWanted | None = None
        self._faults = 0
        self._busy = False
        self._agenda: deque[Origin] = deque()
        self._texts: deque[str] = deque(maxlen=AGENDA_LIMIT)
        """Written by the caller, and not yet a turn; of too many the oldest are lost."""
        self._deadlines: dict[str, float] = {}
        self._quiet_since = 0.0
        self._prompts_given = 0
        self._now = 0.0
        self._actions: list[Action] = []

    # ------------------------------------------------------------ the faces

    @property
    def words(self) -> CallerWords:
        """What the caller has said so far."""
        return self._listening.words

    @property
    def reply(self) -> int | None:
        """The reply that is being made or played, or None."""
        return self._reply

    @property
    def paused(self) -> bool:
        """The reply is held back until it is decided who has the floor."""
        return self._contest.paused

    @property
    def next_deadline(self) -> float | None:
        """When `advance` must be called, or None."""
        if self.state is State.ENDED:
            return None
        parts = (self._listening.next_deadline, self._contest.next_deadline, *self._deadlines.values())
        return min((when for when in parts if when is not None), default=None)

    def start(self, now: float, greeting: Say | None) -> list[Action]:
        """The line is open: greet, or wait for the caller."""
        self._now = self._quiet_since = now
        self._deadlines["max-call"] = now + self._settings.max_call_s
        if greeting is not None:
            self._agenda.append(greeting)
        return self._finish_step()

    def feed(self, evidence: Evidence, now: float) -> list[Action]:
        """Take one fact; say what must be done, in order."""
        if self.state is State.ENDED:
            return []
        self._now = now
        match evidence:
            case Activity():
                self._on_activity(evidence)
            case Words():
                self._on_words(evidence)
            case ReplyAudible(reply):
                if reply == self._reply and self.state is State.PROCESSING:
                    self._deadlines.pop("watchdog", None)
                    self._to(State.RESPONDING, "reply ready")
            case ReplyProtected(reply):
                self._on_protected(reply)
            case ReplyPlayed(reply, asks):
                self._on_played(reply, asks=asks)
            case AgentSpoke(text):
                self._endpointing.agent_spoke(text)
            case ReplyEmpty(reply):
                self._on_empty(reply)
            case DigitPressed(digit):
                self._on_digit(digit)
            case TextSent(text):
                self._on_text(text)
            case CallerReads():
                self._quiet_since, self._prompts_given = self._now, 0
            case KeysWanted(wanted):
                self._keys_wanted = wanted
            case AgentWants(origin):
                self._want(origin)
            case AgentBusy(busy):
                self._on_busy(busy)
            case CloseWanted():
                self._on_close_wanted(evidence)
            case Fault():
                self._on_fault(evidence)
            case Hearing(whole):
                self._on_hearing(whole=whole)
            case LineClosed(reason):
                self._end(reason)
        return self._finish_step()

    def passes(self, activity: Activity) -> bool:
        """Take a window of silence that changes nothing; False if it has to be fed.

        Most windows are such: while the agent speaks, and while nobody does. Whether it may speak, be
        interrupted or has waited too long hangs on what was said, not on how far the audio has come.
        """
        listening = self._listening
        if activity.speaking or listening.activity.speaking or self._contest.paused:
            return False
        if self.state is State.LISTENING and listening.has_the_floor:
            return False
        listening.activity = activity
        self._contest.goes_on(activity)
        return True

    def advance(self, now: float) -> list[Action]:
        """Act on every deadline that is reached."""
        if self.state is State.ENDED:
            return []
        self._now = now
        due = sorted((when, name) for name, when in self._deadlines.items() if when <= now)
        for _, name in due:
            if self._deadlines.pop(name, None) is not None:
                self._on_deadline(name)
        self._rule(self._contest.advance(now))
        self._conclude(self._listening.advance(now, listens=self.state in (State.IDLE, State.LISTENING)))
        return self._finish_step()

    # ------------------------------------------------------------ listening

    def _on_activity(self, activity: Activity) -> None:
        if self._listening.sound(activity, listens=self.state is State.LISTENING):
            self._caller_is_there()
            if self.state is State.IDLE:
                self._to(State.LISTENING, "the caller speaks")
        if self.state is State.LISTENING:
            self._listen()
        elif self._may_interrupt():
            self._rule(self._contest.by_sound(activity, self._now))

    def _on_words(self, words: Words) -> None:
        transcript = words.transcript
        if words.over is not None and not self._listening.has_sounded:
            # Nobody was heard but us: what says our own words back is our echo.
            echo = is_echo(transcript.text, words.over.recent_text)
            transcript = replace(transcript, text="") if echo else transcript
        if not self._listening.take(transcript):
            return
        if transcript.text.strip():
            self._caller_is_there()
            if self.state is State.IDLE:
                self._to(State.LISTENING, "the caller's words")
        if self.state is State.LISTENING:
            self._listen()
        elif self._may_interrupt():
            self._rule(self._contest.by_words(self._listening.activity, words.over, self._now))

    def _on_digit(self, digit: str) -> None:
        self._caller_is_there()
        makes_a_turn = not self._keys_wanted and self._listening.takes(digit)
        # A key that makes no turn takes none back that waits for its answer.
        owed = self.state is State.PROCESSING and isinstance(self._origin, CallerTurn | News)
        if self._may_interrupt() and (makes_a_turn or not owed):
            self._commit("a key was pressed")
        if not makes_a_turn:
            return
        if self.state is State.IDLE:
            self._to(State.LISTENING, "a key was pressed")
        self._listening.press(digit, self._now)

    def _on_text(self, text: str) -> None:
        """Somebody who writes cuts nobody short: the text is a turn when the floor is free."""
        self._caller_is_there()
        self._reopen()
        self._texts.append(text)

    def _listen(self) -> None:
        """Is the turn over? If only a silence is wanting, its reply can be prepared."""
        outcome = self._listening.judge(self._now)
        text = self._listening.settled_text
        if outcome is not None:
            self._conclude(outcome)
        elif text and not any(isinstance(origin, News) for origin in self._agenda):
            self._actions += self._speculation.prepare(self._turn + 1, text)

    def _conclude(self, outcome: Outcome | None) -> None:
        match outcome:
            case TurnOver(text, why, speaks_on):
                if speaks_on:
                    self._contest.overrule(self._listening.activity.onset_s)
                self._end_turn(text, why)
            case Noise():
                self._forget_noise()
            case Unheard():
                self._on_fault(Fault("transcriber", "speech was heard, but no words came"))
            case Late():
                self._tell_to_wait("the recogniser is late")

    def _forget_noise(self) -> None:
        self._actions.append(Decided("noise", "sound without words"))
        if self.words.before:
            self._end_turn(self.words.before, "only noise followed; what was asked before it stands")
            return
        self._hand_floor_on()
        self._quiet_since = self._now

    def _end_turn(self, text: str, why: str) -> None:
        self._reopen()
        self._turn += 1
        self._turn_text = text
        self._actions.append(Decided("turn.ended", why, text, turn=self._turn))
        prepared = self._speculation.take(text)
        self._listening.end_turn()
        self._hand_floor_on()
        # The reply is made from all that is known, answers of tools too.
        self._agenda = deque(origin for origin in self._agenda if not isinstance(origin, News))
        self._start_reply(CallerTurn(self._turn, text), "end of turn", prepared)

    def _hand_floor_on(self) -> None:
        """What was said up to now has been dealt with."""
        self._actions += self._speculation.drop()
        self._listening.hand_on()
        self._actions.append(EndUtterance())

    def _caller_is_there(self) -> None:
        self._quiet_since = self._now
        self._prompts_given = 0

    # ------------------------------------------------------------- barge-in

    def _may_interrupt(self) -> bool:
        if self._settings.barge_in == "off" or self._reply is None or self._protected:
            return False
        return not (isinstance(self._origin, Say | Goodbye) and not self._origin.interruptible)

    def _on_protected(self, reply: int) -> None:
        if reply == self._reply:
            self._protected = True
            if self._contest.paused:
                # What the caller has said meanwhile is kept, and answered afterwards.
                self._contest.end()
                decided = Decided("barge-in.decided", "it must be heard", "resume", reply)
                self._actions += [ResumePlayout(reply), decided]

    def _rule(self, ruling: Ruling | None) -> None:
        """Do what the contest has ruled."""
        if ruling is None or self._reply is None:
            return
        match ruling.verdict:
            case Verdict.PAUSE:
                paused = Decided("barge-in.paused", ruling.why, reply=self._reply)
                self._actions += [PausePlayout(self._reply), paused]
            case Verdict.RESUME:
                self._resume(ruling.why)
            case Verdict.COMMIT:
                self._commit(ruling.why)

    def _resume(self, why: str) -> None:
        if self._reply is None:
            return
        if self._book.meaning(self.words.fresh_text) is Meaning.BACKCHANNEL:
            self._backchannel = (self.words.fresh_text, self._listening.activity.last_speech_s)
        self._hand_floor_on()
        self._actions += [ResumePlayout(self._reply), Decided("barge-in.decided", why, "resume", self._reply)]

    def _commit(self, why: str) -> None:
        reply, origin = self._reply, self._origin
        if reply is None:
            return
        self._contest.end()
        self._forget_reply()
        self._reopen()
        self._actions.append(Decided("barge-in.decided", why, "commit", reply))
        if self.state is State.RESPONDING:
            self._actions.append(CommitInterruption(reply))
            if isinstance(origin, Goodbye) and self._closing is not None:
                self._end(self._closing.reason)
                return
            self._to(State.IDLE, "the caller cut in")
            self._to(State.LISTENING, "the caller speaks")
            return
        self._actions.append(WithdrawReply(reply))
        if isinstance(origin, CallerTurn):
            self._turn -= 1
            self._listening.went_on()
            self.words.take_up(self._turn_text)
        elif isinstance(origin, News) or (isinstance(origin, Say) and not origin.only_now):
            self._want(origin)
        self._to(State.LISTENING, "the caller goes on")

    # -------------------------------------------------------------- replies

    def _want(self, origin: Origin) -> None:
        if origin in self._agenda:
            return
        if isinstance(origin, News):
            self._actions += self._speculation.drop()
        if len(self._agenda) >= AGENDA_LIMIT:
            self._actions.append(Decided("agenda.full", "the oldest wish was dropped"))
            self._agenda.popleft()
        self._agenda.append(origin)

    def _new_number(self) -> int:
        self._replies += 1
        return self._replies

    def _start_reply(self, origin: Origin, why: str, prepared: int | None = None) -> None:
        self._reply = prepared or self._new_number()
        self._origin, self._protected = origin, False
        self._contest.begin(self._listening.floor_s)
        self._deadlines.pop("silence", None)
        self._deadlines["watchdog"] = self._now + self._settings.reply_timeout_ms / 1000
        self._to(State.PROCESSING, why)
        self._actions.append(StartReply(self._reply, origin))

    def _forget_reply(self) -> None:
        self._reply = self._origin = None
        self._deadlines.pop("watchdog", None)

    def _on_played(self, reply: int, *, asks: bool) -> None:
        if reply != self._reply:
            return
        origin = self._origin
        self._contest.end()
        self._forget_reply()
        if isinstance(origin, CallerTurn | News):
            self._faults = 0
        if not (isinstance(origin, Say) and origin.purpose == "silence-prompt"):
            self._quiet_since = self._now
        if self._closing is not None and not any(isinstance(item, Goodbye) for item in self._agenda):
            self._end(self._closing.reason)
            return
        self._to(State.LISTENING, "reply played")
        words, ended_s = self._backchannel
        self._backchannel = ("", 0.0)
        recent = self._listening.activity.media_s - ended_s < ANSWER_WITHIN_S
        if asks and words and recent and not self._listening.has_the_floor:
            self._end_turn(words, "an answer over the end of the question")

    def _on_empty(self, reply: int) -> None:
        if reply != self._reply:
            return
        origin = self._origin
        contested = self._contest.paused
        self._contest.end()
        self._forget_reply()
        self._quiet_since = self._now
        if isinstance(origin, Goodbye):
            self._end(origin.reason)
            return
        self._to(State.IDLE, "no reply needed")
        if contested or self._listening.has_said_something:
            self._to(State.LISTENING, "the caller speaks")

    def _on_close_wanted(self, wanted: CloseWanted) -> None:
        if self._closing is not None and (wanted.reopens or not self._closing.reopens):
            return
        self._closing = wanted
        if not wanted.reopens:
            self._deadlines["close"] = self._now + CLOSE_WITHIN_S
        last_words = self._last_words(wanted)
        if wanted.goodbye and last_words.text and not isinstance(self._origin, Goodbye):
            self._agenda = deque(origin for origin in self._agenda if _is_owed(origin))
            self._agenda.append(last_words)
        elif self._reply is None:
            self._end(wanted.reason)

    def _last_words(self, wanted: CloseWanted) -> Goodbye:
        reason = wanted.reason
        if wanted.last_words is not None:
            return Goodbye(reason, wanted.last_words, self._goodbye_interruptible)
        if reason == "fault" and self._handover is not None:
            return Goodbye(reason, self._handover, interruptible=False)
        return Goodbye(reason, self._goodbye, self._goodbye_interruptible)

    def _reopen(self) -> None:
        """The caller goes on: a close that may be taken back is."""
        if self._closing is not None and self._closing.reopens:
            self._closing = None
            for origin in [item for item in self._agenda if isinstance(item, Goodbye)]:
                self._agenda.remove(origin)

    def _on_fault(self, fault: Fault) -> None:
        if fault.reply is not None and fault.reply != self._reply:
            return
        origin, reply = self._origin, self._reply
        self._faults += 1
        self._actions.append(Decided("fault", fault.reason, fault.stage, reply))
        given_up = self._faults >= FAULTS_IN_A_ROW or (fault.hopeless and self._handover is not None)
        if fault.reply is None and reply is not None:
            # Deaf, but still able to speak: the reply goes on, the apology follows it.
            self._want(Say(self._apology, "apology"))
            if given_up:
                self._give_up()
            return
        if reply is not None:
            self._contest.end()
            self._forget_reply()
            self._actions.append(CommitInterruption(reply))
        self._hand_floor_on()
        self._to(State.ERROR, f"{fault.stage}: {fault.reason}")
        spoken = isinstance(origin, Say) and origin.purpose == "apology"
        if isinstance(origin, Goodbye) or spoken or self._faults > FAULTS_IN_A_ROW:
            self._end("fault")
            return
        self._to(State.IDLE, "retry")
        if given_up:
            self._give_up()
        if not (given_up and self._handover):
            self._agenda.appendleft(Say(self._apology, "apology"))

    def _give_up(self) -> None:
        """Nothing more can be done here; whoever takes the call over is not stopped by the caller's words."""
        self._on_close_wanted(CloseWanted("fault", reopens=self._handover is None))

    def _on_hearing(self, *, whole: bool) -> None:
        self._listening.hearing(self._now, whole=whole)
        if whole:
            self._deadlines.pop("deaf", None)
        elif self._one_moment:
            self._deadlines.setdefault("deaf", self._now + DEAF_FOR_S)

    def _tell_to_wait(self, why: str) -> None:
        """The caller waits for an answer to words that nobody could hear yet."""
        waits = self.state is State.LISTENING and self._listening.has_said_something
        if waits and self._one_moment and not self._listening.activity.speaking:
            self._to(State.IDLE, why)
            self._start_reply(
                Say(self._one_moment, "one-moment", only_now=True), "the caller waits for a recogniser"
            )

    # ------------------------------------------------------------ deadlines

    def _on_deadline(self, name: str) -> None:
        match name:
            case "watchdog" if self.state is State.PROCESSING:
                self._on_fault(Fault("reply", "no answer in time", self._reply))
            case "silence" if self.state in (State.IDLE, State.LISTENING):
                self._on_silence()
            case "deaf":
                self._tell_to_wait("the recogniser is lost")
            case "close" if self._closing is not None:
                self._end(self._closing.reason)
            case "max-call":
                self._on_close_wanted(CloseWanted("maximum call time", reopens=False))

    def _on_silence(self) -> None:
        prompts = self._settings.silence_prompts
        if self._prompts_given < len(prompts):
            prompt = prompts[self._prompts_given]
            self._want(Say(prompt.text, "silence-prompt", prompt.interruptible, only_now=True))
            self._prompts_given += 1
            self._actions.append(
                Decided("silence.prompt", f"{self._now - self._quiet_since:.1f} s of silence")
            )
        else:
            self._on_close_wanted(CloseWanted("the caller is silent"))

    def _on_busy(self, busy: bool) -> None:
        if self._busy and not busy:
            self._quiet_since = self._now
        self._busy = busy

    def _arm_silence(self) -> None:
        prompts = self._settings.silence_prompts
        waiting = self.state in (State.IDLE, State.LISTENING) and self._closing is None
        if not waiting or self._busy or self._listening.has_the_floor:
            self._deadlines.pop("silence", None)
            return
        after_s = (
            prompts[self._prompts_given].after_s
            if self._prompts_given < len(prompts)
            else self._settings.silence_hangup_s
        )
        self._deadlines["silence"] = max(self._now, self._quiet_since + after_s)

    # -------------------------------------------------------------- the end

    def _end(self, reason: str) -> None:
        self._contest.end()
        self._actions += self._speculation.drop()
        self._deadlines.clear()
        self._agenda.clear()
        self._to(State.ENDED, reason)
        self._actions.append(EndCall(reason, self._closing.transfer_to if self._closing else ""))

    def _finish_step(self) -> list[Action]:
        free = self.state in (State.IDLE, State.LISTENING) and not self._listening.has_the_floor
        if free and self._closing is not None and not self._agenda:
            self._end(self._closing.reason)
        elif free and self._texts and self._closing is None:
            written = "\n".join(self._texts)
            self._texts.clear()
            self._end_turn(written, "the caller wrote it")
        elif free and self._agenda:
            origin = self._agenda.popleft()
            if self.state is State.LISTENING:
                self._to(State.IDLE, "the caller says nothing")
            self._start_reply(origin, "the agent has something to say")
        elif not free:
            for origin in [item for item in self._agenda if isinstance(item, Say) and item.only_now]:
                self._agenda.remove(origin)
        if self.state is not State.ENDED:
            self._arm_silence()
        actions, self._actions = self._actions, []
        return actions

    def _to(self, state: State, why: str) -> None:
        if state is self.state:
            return
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"turn-taking may not go from {self.state.value} to {state.value} ({why})")
        before, self.state = self.state, state
        self._actions.append(StateChanged(before, state, why))


def _is_owed(origin: Origin) -> bool:
    """Said before the goodbye: answers of tools, and what must be heard, such as a tool's tones."""
    return isinstance(origin, News) or (
        isinstance(origin, Say) and not (origin.interruptible or origin.only_now)
    )
