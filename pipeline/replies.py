"""The agent's side of a call: its replies, the history they leave, and the answers of its tools.

One reply at a time is made and played. What becomes of it is settled once: the history gets what led
to it, the words that were heard of it, and what its tools answered. A reply that is withdrawn leaves
no trace, but answers of tools that it was to tell stay to be told. So do those of a reply that was cut
before a clause of it was heard.
"""

from __future__ import annotations

__all__ = ["WRITTEN", "Replies"]

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from offhook.config.assistant import Assistant
from offhook.config.errors import ProviderError
from offhook.config.templates import fill, render

from .clock import Clock
from .closing_tools import ClosingTools
from .conversation import Conversation
from .echo import ExpectedEcho
from .evidence import (
    AgentSpoke,
    AgentWants,
    CallerTurn,
    Evidence,
    Goodbye,
    News,
    Origin,
    ReplyAudible,
    ReplyEmpty,
    ReplyPlayed,
    ReplyProtected,
    Say,
)
from .executors import executors_for
from .history import History
from .journal import CallJournal
from .messages import AgentSaid, CallerSaid, Message, ToolAnswered
from .pacing import PacingWheel
from .phone_keys import KEYS, PROMPT, PhoneKeys, key_tones
from .playout import Heard
from .ports import LanguageModel, Line, VoiceStream, Workers
from .rehearsal import Rehearsal
from .reply import Reply, ReplyParts
from .speaker import Speaker
from .tool_news import ANSWER, FILLER, ToolNews
from .tools import Executor

WRITTEN = "written"
"""Purpose of an answer that was given in writing, and is read out."""


class Spawn(Protocol):
    """Starts a task that the call owns; `reply` is the one that is lost if it fails."""

    def __call__(
        self, name: str, work: Coroutine[Any, Any, None], reply: int | None = None
    ) -> asyncio.Task[None]: ...


class Replies:
    """Makes replies, lets them be heard, and remembers what was. Orders come from turn-taking."""

    def __init__(
        self,
        *,
        assistant: Assistant,
        variables: Mapping[str, str],
        model: LanguageModel,
        voice: VoiceStream,
        workers: Workers,
        web_tools: Mapping[str, Executor],
        line: Line,
        wheel: PacingWheel,
        clock: Clock,
        echo: ExpectedEcho,
        journal: CallJournal,
        spawn: Spawn,
        feed: Callable[[Evidence], None],
        call_id: str = "",
        resumes: Conversation | None = None,
    ) -> None:
        """`resumes` is the conversation so far, of a call that another process held."""
        self._assistant = assistant
        self._model, self._voice = model, voice
        self.variables: dict[str, str] = dict(variables)
        """Fill the texts of the assistant's; tools add to them."""
        self._journal, self._spawn, self._feed = journal, spawn, feed
        self.closers = ClosingTools(assistant.tools)
        self.history = History(
            self.filled(assistant.instructions), () if resumes is None else resumes.messages
        )
        self.speaker = Speaker(line, wheel, clock, self, echo)
        self.keys = PhoneKeys(clock, feed)
        self.tools = ToolNews(
            executors_for(assistant.tools, workers, web_tools, self.keys),
            closers=self.closers,
            clock=clock,
            journal=journal,
            history=self.history,
            spawn=spawn,
            feed=feed,
            learn=self._learn,
            answer_came=self._answer_came,
            call_id=call_id,
            variables=self.variables,
            calls_per_turn=assistant.max_tool_calls_per_turn,
        )
        self._present: Reply | None = None
        self._origin: Origin | None = None
        self._task: asyncio.Task[None] | None = None
        self._prepared: tuple[Reply, asyncio.Task[None]] | None = None
        self._owes_answer = False
        """The caller's last turn got no words yet."""

    def filled(self, text: str) -> str:
        """The text with the call's variables in it."""
        return fill(text, self.variables).text

    def conversation(self) -> Conversation:
        """Give what another process would need to go on: nothing is asked of a tool twice, and none is lost.

        Of a reply that is being made or played only its requests of tools are told; without any its turn
        is answered anew.
        """
        messages, untold = list(self.history.said), list(self.tools.untold)
        unanswered, reply = "", self._present
        if reply is not None and reply.tool_requests:
            messages += [message for message in reply.prelude if isinstance(message, CallerSaid)]
            messages.append(AgentSaid("", tool_requests=tuple(reply.tool_requests)))
            messages += [replace(answer, pending=True, failed=False) for answer in reply.answers]
            untold += [answer for answer in reply.answers if not answer.pending]
        elif reply is not None and isinstance(self._origin, CallerTurn):
            unanswered = self._origin.text
        return Conversation(
            tuple(messages),
            tuple(untold),
            unanswered,
            dict(self.variables),
            self._assistant.fallback_number or "",
        )

    # ---------------------------------------------------------------- orders

    def start(self, number: int, origin: Origin) -> None:
        """Make a reply and play it; at once if it was prepared."""
        answers = self.tools.take_for(origin)
        self._owes_answer |= isinstance(origin, CallerTurn)
        self._origin = origin
        prelude = _prelude(answers, origin)
        if self._prepared is not None and self._prepared[0].prelude != prelude:
            self.drop()  # it does not know of an answer that is there
        self._journal.reply_started(number, origin)
        self.speaker.begin(number)
        if self._prepared is not None and self._prepared[0].number == number:
            self._release(*self._prepared)
            return
        self._present = Reply(number, prelude)
        self._task = self._spawn("reply", self._make(self._present, origin), number)

    def _release(self, reply: Reply, task: asyncio.Task[None]) -> None:
        """Let a reply that was prepared be heard."""
        self._present, self._task, self._prepared = reply, task, None
        self._journal.speculated(reply.number, reply.tokens, used=True)
        if reply.protected:
            self._feed(ReplyProtected(reply.number))
        if reply.rehearsal is not None:
            reply.rehearsal.release()

    def prepare(self, number: int, origin: CallerTurn) -> None:
        """Make a reply up to its first clause and its first tool, for nobody to hear yet."""
        self._journal.reply_prepared(number, origin)
        prelude = _prelude(self.tools.known_for(origin), origin)
        reply = Reply(number, prelude, rehearsal=Rehearsal(self.speaker))
        self._prepared = reply, self._spawn("reply", self._make(reply, origin), number)

    def drop(self) -> None:
        """What was prepared was in vain."""
        if self._prepared is not None:
            (reply, task), self._prepared = self._prepared, None
            task.cancel()
            self._journal.speculated(reply.number, reply.tokens, used=False)

    def interrupt(self) -> None:
        """The caller took the floor: what was heard stands, the rest is gone."""
        self._cancel()
        heard = self.speaker.revoke()
        if heard is not None:
            self._journal.cancelled(heard, self.speaker.epoch)
            self._settle(heard, interrupted=True)

    def withdraw(self) -> None:
        """Nothing was heard: as if it had never been asked for, but answers of tools stay to be told."""
        self._cancel()
        self.speaker.revoke()
        if self._present is not None:
            self._journal.withdrawn(self._present.number)
            self.tools.give_back()
        self._present = None

    def close(self) -> None:
        """The call is over; what was heard of a reply is kept."""
        self.drop()
        heard = self.speaker.revoke()
        if heard is not None:
            self._settle(heard, interrupted=not heard.complete, last=True)
        self.speaker.close()
        self.keys.hang_up()
        self.tools.close()

    # -------------------------------------------------------- making a reply

    async def _make(self, reply: Reply, origin: Origin) -> None:
        parts = ReplyParts(
            model=self._model,
            voice=self._voice,
            speaker=reply.rehearsal or self.speaker,
            specs=self.tools.specs,
            variables=dict(self.variables),
            ask_tool=self.tools.ask,
            failed_text=lambda answers: render(self.tools.failed_text(answers), {}, self.variables).text,
            reached=partial(self._journal.reach, number=reply.number),
            apology=self.filled(self._assistant.apology),
            protect=partial(self._protect, reply),
        )
        try:
            spoke = await self._perform(reply, origin, parts)
        except Exception:
            await reply.released()  # a preparation that failed has failed only if it was wanted
            raise
        finally:
            self._voice.reply_over(reply.number)
        await reply.released()
        if (close := self.closers.wanted(reply.tool_requests, spoke=spoke)) is not None:
            self._feed(close)
        if spoke:
            self._owes_answer &= isinstance(origin, Say) and origin.purpose in (FILLER, "silence-prompt")
            return
        waits = any(answer.pending for answer in reply.answers)
        if isinstance(origin, CallerTurn) and not waits:
            raise ProviderError("model", "it gave no answer")
        self.speaker.revoke()
        self._settle(Heard(reply.number, "", "", 0.0, complete=True), interrupted=False)
        self._feed(ReplyEmpty(reply.number))
        if isinstance(origin, News) and reply.prelude and not waits:
            self._apologise_if_nothing_comes()

    def _protect(self, reply: Reply) -> None:
        reply.protected = True
        self._feed(ReplyProtected(reply.number))

    async def _perform(self, reply: Reply, origin: Origin, parts: ReplyParts) -> bool:
        """Make the reply's audio. False if nothing was to be heard. Raises ProviderError."""
        if isinstance(origin, CallerTurn | News):
            return bool(reply.prelude) and await reply.answer(self.history.messages(reply.prelude), parts)
        if not self._is_wanted(origin, reply):
            return False
        if isinstance(origin, Say) and origin.purpose == KEYS:
            return reply.play(key_tones(origin.text), parts)
        return await reply.say(self.filled(origin.text), parts)

    def _is_wanted(self, origin: Say | Goodbye, reply: Reply) -> bool:
        """What a tool wanted said may have lost its reason while it waited for the floor."""
        reasons = {
            FILLER: self.tools.running,
            ANSWER: bool(reply.prelude),
            PROMPT: self.keys.prompts(origin.text),
            KEYS: self.keys.sends(origin.text),
        }
        return isinstance(origin, Goodbye) or reasons.get(origin.purpose, True)

    def _apologise_if_nothing_comes(self) -> None:
        """No turn stays without an answer, though the model has no words for what its tools gave."""
        if self._owes_answer and not self.tools.unsettled:
            self._owes_answer = False
            self._feed(AgentWants(Say(self._assistant.apology, "apology")))

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _settle(self, heard: Heard, *, interrupted: bool, last: bool = False) -> None:
        """Write the exchange to the history, with the words that were heard and no more."""
        reply = self._present
        if reply is None or reply.number != heard.reply:
            return
        self._present = None
        if reply.cut_short:
            reply.generated = heard.generated
        told = last or not interrupted or reply.clause_heard(heard.text)
        later, beside = self.tools.settle(told=told, begun=reply.begun)
        prelude = [m for m in reply.prelude if not (isinstance(m, ToolAnswered) and m.request_id in later)]
        said, behind = reply.exchange(heard.text, interrupted=interrupted, beside=beside)
        if not (isinstance(self._origin, Say) and self._origin.purpose == WRITTEN):
            # What was written stands there already, and was read whatever was heard of it.
            self.history.settle(prelude, said, behind)
        self._journal.reply_ended(heard, interrupted)
        self._feed(AgentSpoke(heard.text))
        if isinstance(self._origin, Say) and self._origin.purpose == KEYS:
            self.keys.sent(self._origin.text, whole=heard.complete and heard.played_s > 0)

    def _learn(self, context: Mapping[str, str]) -> None:
        """A tool's context joins the call's variables."""
        self.drop()  # it was made without this
        self.variables.update((str(name), str(value)) for name, value in context.items())
        self.history.instruct(self.filled(self._assistant.instructions))

    def _answer_came(self) -> None:
        """A filler has no reason any more."""
        if isinstance(self._origin, Say) and self._origin.purpose == FILLER:
            self._cut_short()

    def _cut_short(self) -> None:
        """End what we say ourselves, at the end of the word in play."""
        reply = self._present
        if reply is None:
            return
        if self.speaker.finish_at_word(reply.number):
            reply.cut_short = True
            return
        self.withdraw()
        self._feed(ReplyEmpty(reply.number))

    # ------------------------------------------------- news from the speaker

    def first_frame(self, reply: int) -> None:
        """The first audio of a reply was written."""
        if self._present is not None and self._present.number == reply:
            self._present.begun = True
        self._journal.reach("first_frame", number=reply)
        self._feed(ReplyAudible(reply))

    def first_mark(self, reply: int) -> None:
        """The caller is known to hear the reply."""
        self._journal.reach("first_mark", number=reply)

    def played(self, heard: Heard) -> None:
        """The caller heard the reply to its end."""
        self._settle(heard, interrupted=False)
        self._task = None
        self._feed(ReplyPlayed(heard.reply, asks=heard.text.rstrip().endswith("?")))


def _prelude(answers: tuple[ToolAnswered, ...], origin: Origin) -> tuple[Message, ...]:
    """What leads to a reply: answers of tools, and the caller's words."""
    return (*answers, CallerSaid(origin.text)) if isinstance(origin, CallerTurn) else answers
