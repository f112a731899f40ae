"""The person's conversations in the sidebar: found, opened, named, pinned, deleted, passed on.

Knows the stages by name and page, and no model. What is kept, and how, is
`components.kept`'s affair.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

import streamlit as st

from components import kept, session
from components.language import _, say
from components.text import as_label
from llm.errors import StorageError
from llm.transcript import Transcript
from llm.transcript_import import MAX_BYTES, read_conversations
from llm.transcript_json import write_conversations
from llm.transcript_markdown import to_markdown
from llm.transcript_notebook import to_notebook
from storage import PICTURE_QUOTA, Summary
from storage.titles import title_of

LISTED = 30
"""Conversations shown at once; a button asks for as many more."""


class Stage(NamedTuple):
    label: str
    icon: str
    page: str


STAGES = {
    "picture": Stage("A picture", ":material/image:", "pages/02_multimodal.py"),
    "chatbot": Stage("Without memory", ":material/chat_bubble:", "pages/03_chatbot.py"),
    "memory": Stage("With memory", ":material/forum:", "pages/04_chatbot_with_memory.py"),
}
"""Where conversations are held, by `Transcript.stage`."""
ELSEWHERE = "memory"
"""The stage for a conversation that comes from none of these."""

_SEARCH, _SHOWN, _NOTHING, _IMPORT = ("conversation-search", "conversations-shown",
                                      "keep-nothing", "import-number")


def pick_conversation(stage: str) -> Transcript:
    """Draw the conversations in the sidebar. Returns the one to show in this stage."""
    chat = session.transcript(stage, kept.last_conversation)
    chat.title = title_of(chat)
    with st.sidebar:
        with st.container(horizontal=True):
            st.button(_("New conversation"), icon=":material/add_comment:", on_click=_do,
                      args=(_begin, stage))
            if chat.turns:
                _draw_actions(chat)
        # In containers that are always there: what is open below them stays open when one fills.
        with st.container():
            if chat.turns and not kept.is_kept(chat):
                st.caption(_("This conversation is not kept: something was said in it while "
                             "nothing was to be."))
            _draw_notice()
        with st.container():
            _draw_list(stage, chat)
        keeping = st.expander(_("What is kept"), icon=":material/shield_person:",
                              key="what-is-kept", on_change="rerun")
        if keeping.open:
            with keeping:
                _draw_keeping()
    return chat


# ── The list ─────────────────────────────────────────────────────────────────────────


_ROWS_TO_THE_LEFT = """<style>
[class*="st-key-open-"] :is(button, button > *) {justify-content: start; text-align: start}
</style>"""


def _draw_list(stage: str, chat: Transcript) -> None:
    words = st.text_input(_("Search conversations"), key=_SEARCH,
                          placeholder=_("Words in any message"), icon=":material/search:")
    shown = st.session_state.get(_SHOWN, LISTED)
    try:
        found = kept.conversations(shown + 1, words)
        damage = kept.store().notice
    except StorageError as error:
        st.warning(as_label(say(error)), icon=":material/save:")
        return
    if damage:
        st.warning(as_label(say(damage)), icon=":material/save:")
    st.html(_ROWS_TO_THE_LEFT)
    for summary in found[:shown]:
        _draw_row(stage, summary, is_shown=summary.id == chat.id)
    if words and not found:
        st.caption(_("No conversation has all of these words."))
    if len(found) > shown:
        st.button(_("More conversations"), key="more-conversations",
                  on_click=st.session_state.__setitem__, args=(_SHOWN, shown + LISTED))


def _draw_row(stage: str, summary: Summary, *, is_shown: bool) -> None:
    held = summary.stage if summary.stage in STAGES else ELSEWHERE
    marks = [_(STAGES[held].label), *([_("pinned")] if summary.pinned else []),
             *([_("shown now")] if is_shown else [])]
    # Where it is held and whether it is the one shown are words: an icon has none.
    label = f"{as_label(summary.title) or _('Untitled')} :small[:gray[{' · '.join(marks)}]]"
    icon = ":material/keep:" if summary.pinned else STAGES[held].icon
    if st.button(label, key=f"open-{summary.id}", icon=icon, width="stretch",
                 type="secondary" if is_shown else "tertiary",
                 on_click=_do, args=(_open, summary.id)) and held != stage:
        st.switch_page(STAGES[held].page)
    if summary.excerpt:
        st.caption(as_label(summary.excerpt))


def _draw_notice() -> None:
    notice = session.keeping().notice
    if notice is None:
        return
    if notice.is_error:
        st.warning(notice.text, icon=":material/error:")
    else:
        st.info(notice.text, icon=":material/info:")
    if notice.deleted is not None:
        st.button(_("Undo"), key="undo-delete", icon=":material/undo:", on_click=_do,
                  args=(kept.undelete, notice.deleted))


# ── One conversation ─────────────────────────────────────────────────────────────────


def _draw_actions(chat: Transcript) -> None:
    """What can be done to the conversation that is shown."""
    actions = st.popover(_("This conversation"), icon=":material/more_horiz:",
                         key=f"actions-{chat.id}", on_change="rerun")
    if not actions.open:
        return
    with actions:
        with st.form(f"rename-{chat.id}", border=False):
            # Of any length: the box itself would drop a longer one that is pasted, without a word.
            st.text_input(_("Title"), chat.title, key=f"title-{chat.id}")
            st.form_submit_button(_("Rename"), icon=":material/edit:", on_click=_do,
                                  args=(_rename, chat))
        if kept.is_kept(chat):
            is_pinned = kept.is_pinned(chat)
            st.button(_("Unpin") if is_pinned else _("Pin to the top"),
                      # A second click on the one is none on the other.
                      key=f"{'unpin' if is_pinned else 'pin'}-{chat.id}", width="stretch",
                      icon=":material/keep:", on_click=_do,
                      args=(kept.pin, chat, not is_pinned))
        models = {spec.id: spec for spec in session.models()}
        _offer_export(chat, _("Export as JSON"), "json", "application/json",
                      lambda titled: write_conversations([titled]))
        _offer_export(chat, _("Export as Markdown"), "md", "text/markdown",
                      lambda titled: to_markdown(
                          titled, {name: spec.label for name, spec in models.items()}))
        _offer_export(chat, _("Export as a notebook"), "ipynb", "application/x-ipynb+json",
                      lambda titled: to_notebook(titled, models))
        _warn_of_size(sum(len(picture.data) for picture in {
            picture.sha256: picture for turn in chat.turns.values()
            for picture in turn.pictures}.values()))
        st.button(_("Delete this conversation"), key=f"delete-{chat.id}", icon=":material/delete:",
                  width="stretch", on_click=_do, args=(_delete, chat))


def _offer_export(chat: Transcript, label: str, ending: str, mime: str,
                  write: Callable[[Transcript], str]) -> None:
    name = re.sub(r"\W+", "-", chat.title)[:40].strip("-") or "conversation"
    # Written when it is asked for, not at each run of the page.
    st.download_button(label, functools.partial(write, chat), f"{name}.{ending}", mime,
                       key=f"export-{ending}-{chat.id}", on_click="ignore", width="stretch",
                       icon=":material/download:")


def _warn_of_size(picture_bytes: int) -> None:
    """Say so where a JSON file with these pictures is more than is taken in again."""
    if picture_bytes * 4 // 3 > MAX_BYTES:  # as base64
        st.caption(_("With its pictures the JSON file has about {size} MB. A Parley takes in up to "
                     "{most} MB at once.").format(size=picture_bytes * 4 // 3 // 1024 // 1024,
                                                  most=MAX_BYTES // 1024 // 1024))


# ── What is kept ─────────────────────────────────────────────────────────────────────


def _draw_keeping() -> None:
    # Another tab may have switched it.
    st.session_state[_NOTHING] = kept.keeps_nothing()
    st.toggle(_("Keep nothing"), key=_NOTHING, on_change=_do, args=(_switch_keeping,),
              help=_("While this is on, nothing that is said is written: it is gone with this "
                     "tab. Only that you want it so is remembered."))
    number = st.session_state.setdefault(_IMPORT, 0)
    # Another key is another, empty uploader.
    st.file_uploader(_("Import conversations from a JSON file"),
                     key=f"import-{number}", max_upload_size=MAX_BYTES // 1024 // 1024,
                     on_change=_do, args=(_import, f"import-{number}"))
    try:
        load_all, taken = kept.everything(), kept.picture_bytes()
    except StorageError:
        return  # The list says why.
    left_out = _("Left out of the export, as they are damaged and cannot be read: {titles}")
    st.download_button(_("Export all conversations"),
                       functools.partial(_write_all, load_all, session.keeping(), left_out),
                       "parley-conversations.json", "application/json", key="export-all",
                       on_click="ignore", icon=":material/download:", width="stretch")
    if taken:
        st.caption(_("Pictures: {taken} MB of {most} MB").format(
            taken=f"{taken / 1e6:.1f}", most=PICTURE_QUOTA // 1_000_000))
    _warn_of_size(taken)
    with st.popover(_("Delete everything"), icon=":material/delete_forever:", width="stretch"):
        st.markdown(_("Everything that is kept for you goes, at once and for good: conversations, "
                      "pictures, votes, evaluations. This cannot be undone."))
        st.button(_("Delete all of it"), key="delete-everything", type="primary",
                  on_click=_do, args=(_delete_everything,))


# ── What the buttons do ──────────────────────────────────────────────────────────────


def _write_all(load_all: Callable[[list[Summary]], Iterable[Transcript]],
               keeping: session.Keeping, left_out: str) -> str:
    """All of them as JSON. Called outside of the page's run, whose next one shows a notice."""
    damaged: list[Summary] = []
    written = write_conversations(load_all(damaged))
    if damaged:
        keeping.notice = session.Notice(left_out.format(titles=", ".join(
            as_label(summary.title) for summary in damaged)), is_error=True)
    return written


def _do(action: Callable[..., str | session.Notice | None], *args) -> None:
    """Do it and have its notice shown, or the sentence why it could not be done."""
    keeping = session.keeping()
    keeping.notice = None
    try:
        said = action(*args)
        keeping.notice = session.Notice(said) if isinstance(said, str) else said
    except StorageError as error:
        # It can quote a file from anywhere, and is drawn as Markdown.
        keeping.notice = session.Notice(as_label(say(error)), is_error=True)


def _begin(stage: str) -> None:
    kept.show(Transcript(stage=stage))


def _open(conversation_id: str) -> None:
    chat = kept.load(conversation_id)
    if chat.stage not in STAGES:
        chat.stage = ELSEWHERE
    kept.show(chat)


def _rename(chat: Transcript) -> None:
    kept.rename(chat, st.session_state[f"title-{chat.id}"])


def _delete(chat: Transcript) -> session.Notice:
    kept.delete(chat)
    kept.show(Transcript(stage=chat.stage))
    return session.Notice(_("Deleted: {title}").format(title=as_label(chat.title)),
                          deleted=chat)


def _switch_keeping() -> None:
    kept.keep_nothing(st.session_state[_NOTHING])


def _import(key: str) -> str | None:
    file = st.session_state[key]
    if file is None:
        return None
    st.session_state[_IMPORT] += 1
    transcripts = read_conversations(file.getvalue())
    kept.take_in(transcripts)
    return _("Conversations taken in: {count}").format(count=len(transcripts))


def _delete_everything() -> str:
    kept.delete_everything()
    return _("Everything that was kept for you is deleted.")
