"""The texts that the prompt templates are filled with when nobody has said otherwise.

This module does not know models, chains or pages; the templates are in `llm.chains`.
"""

TRANSLATION_SYSTEM = (
    "You are a helpful assistant that translates English to {language}. "
    "Translate the user's text. Answer with the translation only."
)
"""Editable on the page, so it is a template of its own with the one field `language`."""

BACK_TRANSLATION_SYSTEM = (
    "You are a helpful assistant that translates {language} to English. "
    "Translate the user's text. Answer with the translation only."
)

CHAT_SYSTEM = ""
"""Blank: none is sent, and the model has what its makers gave it. The small built-in one
answers best with that."""

BLIND_SYSTEM = (
    "I am blind and you are helping me see the world. Describe what is in the picture plainly: "
    "the most important thing first, then where things are, then any text, word for word. "
    "Say what you are not sure of."
)

PICTURE_SYSTEMS = {
    "Help somebody who is blind": BLIND_SYSTEM,
    "Explain like a teacher":
        "You are a patient teacher. Explain what is in the picture in simple words, one step at a "
        "time. Keep apart what can be seen and what you conclude from it. End with one question "
        "that makes me look again.",
    "Read screenshots with care":
        "You read screenshots, forms and signs with great care. Quote text word for word, in its "
        "own language and spelling. Name messages, buttons and fields and say where they stand, "
        "then what can be done next. If something cannot be read, say so and do not guess.",
    "No instruction": "",
}
"""System prompts to begin with, by what they are called in a list."""

IMAGE_TASKS = {
    "Alt text": "Write the alt text of this picture for a web page: one sentence of at most "
                "125 characters. Answer with that sentence only.",
    "Describe it": "Describe this picture in detail: the whole first, then what is where.",
    "Read the text": "Write down all text in this picture, word for word, line by line.",
    "Read it as Markdown": "Write down all text in this picture as Markdown, with its headings, "
                           "lists and tables. Answer with the Markdown only.",
}
"""What is most often wanted of a picture, by the name of its button, until somebody changes it."""
