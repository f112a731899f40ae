"""What a service says of itself when it fails is shown to the letter."""

from streamlit.testing.v1 import AppTest


def _failed_reply() -> None:
    from components.reply import show_reply
    from llm.errors import InvalidRequestError
    from llm.replies import Reply

    show_reply(Reply.failed("m", InvalidRequestError(
        "The service says: {said}", said="**urgent** [your bank](http://evil.example) $x$ `y`")),
        key="reply")


def test_an_errors_words_are_no_markdown():
    page = AppTest.from_function(_failed_reply).run()
    assert not page.exception
    (error,) = page.error
    assert r"\*\*urgent\*\*" in error.value
    assert "[your bank](" not in error.value
    assert "evil.example" in error.value
