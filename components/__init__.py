"""The parts that pages are made of. They know Streamlit and `llm`, and no model by name."""
