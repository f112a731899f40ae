// Says data.text through one polite live region, which outlives the element that asked.

const ID = "parley-announcer";
const HIDDEN = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)";

export default function ({ data }) {
  let region = document.getElementById(ID);
  if (!region) {
    region = document.createElement("div");
    region.id = ID;
    region.setAttribute("role", "status");
    region.setAttribute("aria-live", "polite");
    region.style.cssText = HIDDEN;
    document.body.append(region);
  }
  // A region that comes with its text is not read, and the same text twice is no change.
  region.textContent = "";
  setTimeout(() => (region.textContent = data.text), 100);
}
