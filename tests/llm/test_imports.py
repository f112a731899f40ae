"""The app's process stays light: importing `llm` loads no page framework and no tensor library."""

import subprocess
import sys


def test_importing_llm_loads_neither_streamlit_nor_torch_nor_transformers():
    code = ("import sys, llm; "
            "print([m for m in ('streamlit', 'torch', 'transformers', 'langgraph', 'onnxruntime') "
            "if m in sys.modules])")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
