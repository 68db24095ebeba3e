/** The live connection to the console's server. The server sends the next batch only once the last is confirmed. */

const RETRY_MS = 2000;
/** What the page says when it has lost its server. */
export const GONE = "the console does not answer; if it was started again, open the new link that it prints";

/**
 * @param {(batch: Record<string, any>, isFirst: boolean) => void} take
 * @param {(up: boolean) => void} changed
 */
export function connect(take, changed) {
  const socket = new WebSocket(`ws://${location.host}/live`);
  let isFirst = true;
  socket.onmessage = (event) => {
    take(JSON.parse(event.data), isFirst);
    if (isFirst) changed(true);
    isFirst = false;
    // A frame shows what came before the next batch is asked for; a hidden tab has no frames, and so asks for nothing.
    requestAnimationFrame(() => socket.readyState === WebSocket.OPEN && socket.send("next"));
  };
  socket.onclose = () => {
    changed(false);
    setTimeout(() => connect(take, changed), RETRY_MS);
  };
}

/**
 * @param {string} path
 * @param {unknown} [body] makes it a POST
 * @returns {Promise<any>} the answer; rejects with the server's one line if it refuses
 */
export async function api(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(`/api/${path}`, options).catch(() => { throw new Error(GONE); });
  const answer = await response.json().catch(() => ({ error: `the console answered ${response.status}` }));
  if (!response.ok) throw new Error(answer.error);
  return answer;
}
