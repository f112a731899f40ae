// Says in which language the page is, for screen readers' voices and hyphenation.

export default function ({ data }) {
  document.documentElement.lang = data.code;
}
