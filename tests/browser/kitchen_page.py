"""Everything of Streamlit's that Parley uses or may come to use, on one page."""

import io
import wave

import altair as alt
import pandas as pd
import streamlit as st
from PIL import Image

from components.browser import announce, copy_button, read_aloud_button
from components.text import show_text

numbers = pd.DataFrame({"a": range(5), "b": [0, 1, 4, 9, 16]})
chart = alt.Chart(numbers).encode(x="a", y="b", tooltip=["a", "b"])
silence = io.BytesIO()
with wave.open(silence, "wb") as sound:
    sound.setparams((1, 2, 8000, 0, "NONE", ""))
    sound.writeframes(bytes(8000))

st.title("Kitchen sink", anchor=False)
show_text("Some `code`, $x^2$ and:\n\n```python\nprint('hello')\n```")
st.latex(r"\frac{a}{b}")
st.markdown(":material/home: :smile: :red[red] :blue-badge[badge]")
st.dataframe(numbers)
st.data_editor(numbers)
st.table(numbers)
st.altair_chart(chart.mark_line(point=True).interactive())
st.altair_chart(chart.mark_bar().transform_calculate(c="datum.a * 2").encode(
    color=alt.condition("datum.b > 4", alt.value("red"), alt.value("blue"))))
st.line_chart(numbers)
st.metric("Metric", 5, 1, chart_data=[1, 2, 3])
st.image(Image.new("RGB", (40, 40), "green"))
st.audio(silence.getvalue())
st.progress(40)
st.toast("A toast")
if taken := st.camera_input("Camera"):
    st.text(f"camera {taken.getvalue()[:2]!r}")
if uploaded := st.file_uploader("File"):
    st.text(f"uploaded {uploaded.name} {uploaded.getvalue()!r}")
st.download_button("Download", b"downloaded", "file.txt")
copy_button("what was copied", key="copy")
read_aloud_button("One sentence. Another.", key="speak", language="en")
announce("The reply is there", key="announce")
if said := st.chat_input("Say", accept_file="multiple"):
    st.text(f"said {said.text} {[file.name for file in said.files]}")
st.text("All drawn")
