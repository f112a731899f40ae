// Speaks data.text, and stops when pressed again or taken off the page.

export default function ({ data, parentElement }) {
  const button = parentElement.querySelector("button");
  if (!("speechSynthesis" in window)) return;
  let speaking = false;

  const rest = () => {
    speaking = false;
    button.textContent = data.label;
  };

  button.hidden = false;
  rest();
  button.onclick = () => {
    speechSynthesis.cancel();
    if (speaking) return rest();
    speaking = true;
    button.textContent = data.stop;
    // Some voices fall silent within a long text: a sentence at a time.
    const sentences = data.text.match(/[^.!?…。।\n]+[.!?…。।\n]*/g) ?? [];
    sentences.forEach((sentence, number) => {
      const utterance = new SpeechSynthesisUtterance(sentence);
      if (data.language) utterance.lang = data.language;
      if (number === sentences.length - 1) utterance.onend = rest;
      utterance.onerror = rest;
      speechSynthesis.speak(utterance);
    });
  };
  return () => speaking && speechSynthesis.cancel();
}
