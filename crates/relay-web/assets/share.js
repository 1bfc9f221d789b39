// The lines to copy: this page, the frame for other pages, the stream itself.

/** The button says "Copied" for so many milliseconds. */
const SAID_FOR = 2_000;

/** Fills the fields for the stream `name` and makes their buttons copy. */
export function bindShare(name) {
  const page = `${location.origin}/watch/${name}`;
  const lines = { "share-page": page, "share-embed": embedLine(page, name), "share-stream": `${location.origin}/${name}.flv` };
  for (const [id, line] of Object.entries(lines)) document.getElementById(id).value = line;
  for (const button of document.querySelectorAll("[data-copy]")) {
    const field = document.getElementById(button.dataset.copy);
    field.addEventListener("focus", () => field.select());
    button.addEventListener("click", () => copy(field, button));
  }
}

function embedLine(page, name) {
  const look = "width: 100%; aspect-ratio: 16 / 9; border: 0";
  return `<iframe src="${page}?embed=1" title="Live stream ${name}" style="${look}" allow="autoplay" allowfullscreen></iframe>`;
}

async function copy(field, button) {
  const copied = await copyText(field);
  button.textContent = copied ? "Copied" : "Press Ctrl+C";
  document.getElementById("copied").textContent = copied ? "Copied" : "Selected: press Ctrl and C to copy";
  setTimeout(() => {
    button.textContent = "Copy";
    document.getElementById("copied").textContent = "";
  }, SAID_FOR);
}

/** Pages without TLS have no clipboard of the new kind; the old command still works there. */
async function copyText(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    field.focus();
    field.select();
    return document.execCommand("copy");
  }
}
