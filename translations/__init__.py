"""The interface's texts in other languages: gettext's .po files, one a language.

To translate: change the lines `msgstr` of a file, here or in any editor for .po files, and
open the page anew. `python -m translations` brings the files up to date with the code;
`python -m translations fr` begins a language.
"""
