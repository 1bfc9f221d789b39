// Where a stream is to be had: the node that this page came from, and the others of its pool.

/** Milliseconds between two looks at the pool. A page that has lost its node knows who was there so long ago at most. */
const LOOK = 15_000;
/** Milliseconds for which an answer is waited for. */
const PATIENCE = 5_000;

/** The URLs of the stream `name`. The first is that of this page's own node, which sends viewers on by itself where it is full. */
export class Places {
  #path;
  #others = [];
  #last;

  constructor(name) {
    this.#path = `/${name}.flv`;
    this.#last = this.#path;
    this.#look();
    setInterval(() => document.hidden || this.#look(), LOOK);
  }

  /** The one that is in use. */
  get url() {
    return this.#last;
  }

  /** Goes on to another one, drawn by the room that each had: thousands of pages that lost one node must not all meet at the
   *  next one. Without any other it stays. */
  change() {
    const others = this.#others.filter(({ url }) => url !== this.#last);
    // Back to where the page came from, in turn with the others: that node may be back, and know of more.
    if (this.#last !== this.#path && (others.length === 0 || Math.random() < 1 / (others.length + 1))) {
      this.#last = this.#path;
      return;
    }
    let left = Math.random() * others.reduce((sum, { room }) => sum + room, 0);
    const chosen = others.find(({ room }) => (left -= room) <= 0) ?? others.at(-1);
    this.#last = chosen?.url ?? this.#last;
  }

  /** Asks the node in use; what was known stays where it does not answer. */
  async #look() {
    const limit = new AbortController();
    const patience = setTimeout(() => limit.abort(), PATIENCE);
    try {
      const address = new URL("/pool.json", new URL(this.#last, location.href));
      const answer = await fetch(address, { cache: "no-store", signal: limit.signal });
      if (answer.ok) this.#learn(await answer.json());
    } catch {
      // The next look may find it.
    } finally {
      clearTimeout(patience);
    }
  }

  /** A page that came by https may read only https. */
  #learn({ nodes = [] }) {
    const usable = nodes.filter(({ http }) => typeof http === "string" && new URL(http).protocol >= location.protocol);
    this.#others = usable
      .map(({ http, room }) => ({ url: http + this.#path, room: Math.max(1, Number(room) || 0) }))
      .filter(({ url }) => url !== location.origin + this.#path);
  }
}
