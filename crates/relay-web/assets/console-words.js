// Figures in words, as the sentences of the relay itself have them.

const UNITS = [[1e9, "G"], [1e6, "M"], [1e3, "k"]];

/** A whole number with its thousands apart. */
export function count(number) {
  return Math.round(number).toLocaleString("en");
}

/** Bits per second. */
export function bits(number) {
  return scaled(number, "bit/s");
}

/** Bytes. */
export function bytes(number) {
  return scaled(number, "B");
}

/** A part of something, in hundredths. */
export function part(share) {
  return `${(share * 100).toFixed(share < 0.1 && share > 0 ? 1 : 0)} %`;
}

/** Seconds, in their two largest units. */
export function span(seconds) {
  const two = (large, name, small, lesser) => (small ? `${large} ${name} ${small} ${lesser}` : `${large} ${name}`);
  const whole = (unit) => Math.floor(seconds / unit);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return two(whole(60), "min", seconds % 60, "s");
  if (seconds < 86_400) return two(whole(3_600), "h", whole(60) % 60, "min");
  return two(whole(86_400), "d", whole(3_600) % 24, "h");
}

/** Puts a sentence into an element; what is to be typed stands between backticks. */
export function spell(element, text) {
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  element.replaceChildren(...text.split("`").map((piece, place) => {
    const node = document.createElement(place % 2 ? "code" : "span");
    node.textContent = piece;
    return node;
  }));
}

function scaled(number, unit) {
  const [worth, prefix] = UNITS.find(([least]) => number >= least) ?? [1, ""];
  const value = number / worth;
  const digits = prefix && value < 100 && value % 1 >= 0.05 ? 1 : 0;
  return `${value.toLocaleString("en", { maximumFractionDigits: digits })} ${prefix}${unit}`;
}
