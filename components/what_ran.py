"""The drawer under a reply, closed until it is asked for: all that made the answer.

Six parts: messages, the prompt as the model read it, request, response, code, chain.
Only the one that is looked at is made. What they show, `llm.what_ran` and its
neighbours read from the run itself; how it is asked for, nobody here knows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import streamlit as st

from components import session
from components.language import _, say
from components.take_away import offer_text
from components.text import show_literal
from components.what_ran_http import not_kept, show_request, show_response
from llm.catalog import ModelSpec
from llm.chat_templates import Token, read_tokens
from llm.code import program_of
from llm.errors import ParleyError
from llm.replies import Reply
from llm.transcript import Turn
from llm.what_ran import everything, left_out, mermaid, message_dicts, prompt_of, steps


def show_what_ran(reply: Reply, *, key: str, before: Sequence[Turn] = ()) -> None:
    """Draw the closed drawer of one reply; its content is made when it is opened.

    `before`: the turns of the conversation before the question, to tell what memory left out.
    """
    # In the page and not over it: a popover covers the answer, and turns round and shrinks
    # with each part, and a dialog waits while another answer grows.
    drawer = st.expander(_("What ran"), icon=":material/build:", type="compact",
                         key=f"what-ran-{key}", on_change="rerun")
    if not drawer.open:
        return
    spec = next((spec for spec in session.models() if spec.id == reply.model_id), None)
    parts = {
        _("Messages"): lambda: _show_messages(reply, before, key=key),
        _("Prompt"): lambda: _show_prompt(reply, spec, key=key),
        _("Request"): lambda: show_request(reply, spec, key=key),
        _("Response"): lambda: show_response(reply, key=key),
        _("Code"): lambda: _show_code(reply, spec, key=key),
        _("Chain"): lambda: _show_chain(reply, key=key),
    }
    with drawer:
        tabs = st.tabs(list(parts), key=f"what-ran-part-{key}", on_change="rerun")
        for tab, show in zip(tabs, parts.values(), strict=True):
            if tab.open:
                with tab:
                    show()
        st.download_button(
            _("All of it as one file"), lambda: _as_json(everything(reply, spec, before)),
            "what-ran.json", "application/json", key=f"what-ran-all-{key}", on_click="ignore",
            icon=":material/download:")


def _show_messages(reply: Reply, before: Sequence[Turn], *, key: str) -> None:
    st.caption(_("The messages sent, in their order."))
    for message in reply.messages:
        st.markdown(f"**{message.type}**")
        show_literal(message.text)
        pictures = sum(isinstance(block, dict) and block.get("type") in ("image", "image_url")
                       for block in message.content) if isinstance(message.content, list) else 0
        if pictures:
            st.caption(_("and pictures: {count}").format(count=pictures))
    missing = left_out(before, reply.messages)
    if missing:
        st.markdown(f"**{_('Left out by memory')}**")
        for turn in missing:
            st.caption(turn.role)
            show_literal(turn.text)
    elif before:
        st.caption(_("Memory left nothing out."))
    offer_text(_as_json({
        "messages": message_dicts(reply.messages),
        "left_out": [{"role": turn.role, "content": turn.text} for turn in missing],
    }), "messages.json", mime="application/json", key=f"messages-{key}")


def _show_prompt(reply: Reply, spec: ModelSpec | None, *, key: str) -> None:
    try:
        prompt = prompt_of(reply, spec) if spec is not None else None
    except ParleyError as error:
        st.caption(_("The prompt cannot be shown:"))
        show_literal(say(error))
        return
    if spec is None or prompt is None:
        st.markdown(_why_no_prompt(reply, spec))
        return
    st.caption(_("One text, laid out by the model's own chat template. The marks between the "
                 "messages are tokens of their own."))
    tokens = read_tokens(spec, prompt)
    if tokens is None:
        st.caption(_("The model's tokenizer is not here as a file, so its tokens are not shown."))
    else:
        st.caption(_counted(reply, len(tokens)))
    if tokens is not None and st.toggle(_("Token by token"), key=f"tokens-{key}"):
        text = "\n".join(map(_token_line, tokens))
        show_literal(text)
        offer_text(text, "tokens.txt", key=f"tokens-{key}")
    else:
        show_literal(prompt)
        offer_text(prompt, "prompt.txt", key=f"prompt-{key}")


def _why_no_prompt(reply: Reply, spec: ModelSpec | None) -> str:
    if spec is None:
        return _("This model is no longer in the list, so its chat template is not known.")
    if not spec.is_language_model:
        return _("This is no language model: it reads no prompt.")
    if not spec.open:
        return _("How a closed model lays the messages out for itself is **not public**. Its "
                 "service takes them as the request has them, and what it adds is not told.")
    if not reply.exchanges:
        return not_kept()
    return _("This model runs elsewhere. Its chat template and its tokenizer are not on this "
             "machine, so the prompt that it reads cannot be shown.")


def _counted(reply: Reply, count: int) -> str:
    if reply.tokens_measured and reply.input_tokens is not None:
        return _("{count} tokens by the model's own tokenizer; the engine counted {measured}."
                 ).format(count=f"{count:,}", measured=f"{reply.input_tokens:,}")
    return _("{count} tokens by the model's own tokenizer.").format(count=f"{count:,}")


def _token_line(token: Token) -> str:
    text = json.dumps(token.text, ensure_ascii=False)
    return f"{token.id:>7}  {token.text}" if token.special else f"{token.id:>7}  {text}"


def _show_code(reply: Reply, spec: ModelSpec | None, *, key: str) -> None:
    program = program_of(reply, spec)
    st.caption(_("The shortest LangChain program that asks the same. It runs as it stands, in a "
                 "notebook too, and reads keys from the environment."))
    show_literal(program.text, language="python")
    offer_text(program.text, "what_ran.py", mime="text/x-python", key=f"code-{key}")
    for name, data in program.pictures.items():
        st.download_button(_("{name}, which it reads").format(name=name), data, name,
                           key=f"{name}-{key}", on_click="ignore", icon=":material/image:",
                           type="tertiary")


def _show_chain(reply: Reply, *, key: str) -> None:
    if reply.chain is None:
        st.caption(not_kept())
        return
    st.caption(_("What a question goes through on its way, from input to output."))
    with st.container(horizontal_alignment="center", gap="xxsmall"):
        for number, row in enumerate(steps(reply.chain)):
            if number:
                st.markdown("↓", width="content")
            st.markdown(" ".join(f"`{name}`" for name in row), width="content")
    text = mermaid(reply.chain)
    st.markdown(f"**{_('As Mermaid')}**")
    show_literal(text)
    offer_text(text, "chain.mmd", key=f"chain-{key}")


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
