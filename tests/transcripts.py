"""Conversations for tests: one with everything in it, and hypothesis strategies for any."""

from __future__ import annotations

import io

from hypothesis import strategies as st
from langchain_core.messages import HumanMessage, SystemMessage
from PIL import Image

from llm.images import Picture, read_image
from llm.memory import STRATEGIES, Options, to_message
from llm.prices import Cost
from llm.replies import Ending, Reply
from llm.transcript import Transcript, Turn

FINISHED = [ending for ending in Ending if ending is not Ending.RUNNING]


def picture(colour: str = "red", side: int = 8) -> Picture:
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "PNG")
    return read_image(file.getvalue())


PICTURES = [picture("red"), picture("blue", 9)]


def say(transcript: Transcript, *words: str) -> Transcript:
    """Go on from the turn shown last, human and AI in turn. Returns the transcript."""
    for text in words:
        last = transcript.last
        if last is None or last.role == "ai":
            transcript.append("human", text)
        else:
            transcript.append("ai", reply=reply_to(transcript, text))
    return transcript


def reply_to(transcript: Transcript, text: str, *, strategy: str = "everything",
             ending: Ending = Ending.STOP, **more) -> Reply:
    """An ended reply to the turn shown last, with what was sent for it."""
    path = transcript.path()
    view = STRATEGIES[strategy].see(path[:-1], Options(last=2, budget=40))
    sent = [SystemMessage(view.system("Be brief.")), *view.messages, *map(to_message, path[-1:])]
    return Reply("scripted", text, ending, messages=sent, **more)


def everything() -> Transcript:
    """Pinned, two branches, pictures, rated, summed up, a failed and a stopped reply, figures."""
    chat = Transcript(title="Trains", stage="memory", pinned=True)
    say(chat, "My name is Ada. { } <b> \u202e नमस्ते 你好", "Hello Ada.")
    chat.last.rating = 1
    chat.last.summary = "Ada said her name."
    chat.append("human", "What is this?", pictures=[PICTURES[0], PICTURES[1]])
    chat.append("ai", reply=reply_to(
        chat, "A red square", ending=Ending.LENGTH, started_at=1_700_000_000.25,
        first_token_seconds=0.1, total_seconds=2.5, input_tokens=120, output_tokens=3,
        tokens_measured=True, cost=Cost("priced", 0.00012, "genai-prices 0.2.3"),
        settings={"temperature": 0.7, "max_tokens": 3, "system": "Be brief."},
        chunk_times=[(0.1, 2), (0.30000000000000004, 12)]))
    first = chat.last
    chat.append("human", "And now?")
    chat.append("ai", reply=Reply("scripted", ending=Ending.FAILED, error="No connection.",
                                  error_type="ServiceUnreachableError"))
    question = chat.turns[first.parent_id]
    chat.branch(question, "What colour is it?")
    chat.append("ai", reply=reply_to(chat, "Red, I thi", ending=Ending.STOPPED,
                                     cost=Cost("local"), strategy="last"))
    chat.show(chat.turns[first.id])
    return chat


texts = st.text(max_size=40)


@st.composite
def paths(draw, max_turns: int = 12) -> list[Turn]:
    """The turns of a path: mostly in turn, some blank, some summed up."""
    roles = draw(st.lists(st.sampled_from(["human", "ai"]), max_size=max_turns))
    path: list[Turn] = []
    for role in roles:
        words = draw(st.one_of(st.just(""), st.text("ab \n", min_size=1, max_size=60)))
        turn = Turn(role, words if role == "human" else "",
                    parent_id=path[-1].id if path else None)
        if role == "ai":
            turn.reply = Reply("scripted", words, draw(st.sampled_from(FINISHED)))
        elif draw(st.integers(0, 9)) == 0:
            turn.pictures = [PICTURES[0]]
        if draw(st.integers(0, 5)) == 0:
            turn.summary = "What was said."
        path.append(turn)
    return path


@st.composite
def transcripts(draw, max_turns: int = 10) -> Transcript:
    """Any tree of finished turns, with what each reply was sent."""
    chat = Transcript(title=draw(texts), stage=draw(st.sampled_from(["", "memory"])),
                      pinned=draw(st.booleans()))
    for _ in range(draw(st.integers(0, max_turns))):
        turns = list(chat.turns.values())
        parent = draw(st.sampled_from([None, *turns])) if turns else None
        role = draw(st.sampled_from(["human", "ai"]))
        turn = chat.add(Turn(role, draw(texts) if role == "human" else "",
                             parent_id=parent and parent.id,
                             rating=draw(st.sampled_from([None, 1, -1])),
                             summary=draw(st.none() | texts)))
        if parent is not None and draw(st.booleans()):
            chat.show(turn)
        if role == "human":
            turn.pictures = draw(st.lists(st.sampled_from(PICTURES), max_size=2))
        else:
            turn.reply = draw(replies(chat.path_to(turn)[:-1]))
    if chat.turns and draw(st.booleans()):
        chat.show(draw(st.sampled_from(list(chat.turns.values()))))
    return chat


@st.composite
def replies(draw, path: list[Turn]) -> Reply:
    view = draw(st.sampled_from(list(STRATEGIES.values()))).see(
        path[:-1], Options(last=draw(st.integers(0, 4)), budget=draw(st.integers(0, 60))))
    messages = [SystemMessage(view.system("Be brief.")), *view.messages]
    messages += [draw(st.sampled_from([to_message(path[-1]), HumanMessage("In other words")]))] \
        if path else []
    seconds = st.none() | st.floats(0, 1e6)
    return Reply(
        "scripted", draw(texts), draw(st.sampled_from(FINISHED)), error=draw(st.none() | texts),
        started_at=draw(st.floats(0, 2e9)), first_token_seconds=draw(seconds),
        total_seconds=draw(seconds), input_tokens=draw(st.none() | st.integers(0, 10**7)),
        output_tokens=draw(st.none() | st.integers(0, 10**7)),
        tokens_measured=draw(st.booleans()),
        cost=draw(st.sampled_from([None, Cost("local"), Cost("priced", 0.25, "a list")])),
        messages=messages,
        settings=draw(st.dictionaries(texts, st.none() | st.floats(allow_nan=False,
                                                                  allow_infinity=False) | texts,
                                      max_size=3)),
        chunk_times=draw(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 10**6)),
                                  max_size=3)),
    )
