/** What a person can do to a device: add, rotate, disable, enable, disconnect, remove. */

import { api } from "./live.js";
import { byId, copyButton, download, h } from "./dom.js";
import { bytesOf, visible } from "./format.js";

/** @returns {HTMLDialogElement} */
export function dialog() {
  return /** @type {HTMLDialogElement} */ (byId("dialog"));
}

/**
 * Show a dialog with a title and a way to close it.
 * @param {string} title
 * @param {...(Node | string | null)} content
 */
export function show(title, ...content) {
  const box = dialog();
  box.replaceChildren(
    h("div", { class: "head" }, h("h2", { id: "dialog-title" }, title), h("button", { class: "close", onclick: () => box.close() }, "Close")));
  for (const part of content) if (part !== null) box.append(part);
  if (!box.open) box.showModal();
}

/** @param {() => void} done */
export function openAdd(done) {
  const name = h("input", { id: "new-client-id", required: true, maxlength: 128, autocomplete: "off", spellcheck: "false" });
  const problem = h("p", { class: "cause", role: "alert", hidden: true });
  const form = h("form", {
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        const added = await api("device", { action: "add", client_id: name.value });
        showSecret(`${visible(name.value)} is registered`, added);
        done();
      } catch (error) {
        problem.textContent = visible(String(/** @type {Error} */ (error).message));
        problem.hidden = false;
      }
    },
  }, h("div", { class: "field" }, h("label", { for: "new-client-id" }, "Client id"), name), problem, h("button", { class: "primary" }, "Add device"));
  show("Add device", form);
  name.focus();
}

/**
 * Show a password once, and offer the files.
 * @param {string} title
 * @param {{config: Record<string, unknown>, ca?: string}} secret the CA file in Base64
 */
function showSecret(title, secret) {
  const { config, ca } = secret;
  const text = `${JSON.stringify(config, null, 2)}\n`;
  show(title,
    h("p", {}, "The password is shown only once; it is not stored. ", ca === undefined ? "Copy it into the device's config.json." : "Put both files on the board, or beside each other for mqtt443 board."),
    h("p", {}, "Password: ", h("code", { id: "password" }, String(config.password))),
    h("div", { class: "bar" },
      copyButton(String(config.password), "Copy password"),
      ca === undefined ? null : h("button", { id: "download-config", onclick: () => download("config.json", text) }, "Download config.json"),
      ca === undefined ? null : h("button", { onclick: () => download(String(config.ca), bytesOf(ca)) }, `Download ${config.ca}`)));
}

const QUESTIONS = /** @type {Record<string, string>} */ ({
  rotate: "Make a new password? The old one stays valid for seven days.",
  disable: "Disable this device? Its connection is closed, and it cannot log in.",
  remove: "Remove this device? Its connection is closed, and its password is lost.",
  disconnect: "Close this device's connection? It connects again by itself.",
});

/**
 * Ask, act, and say what came of it.
 * @param {string} action
 * @param {string} id client id
 * @param {() => void} done
 */
export function confirmed(action, id, done) {
  const question = QUESTIONS[action];
  const problem = h("p", { class: "cause", role: "alert", hidden: true });
  const go = async () => {
    try {
      const result = await api("device", { action, client_id: id });
      if (result.config) showSecret(`New password of ${visible(id)}`, result);
      else if (question === undefined || problem.isConnected) dialog().close(); // not one opened meanwhile
      done();
    } catch (error) {
      if (!problem.isConnected) show(visible(id), problem);
      problem.textContent = visible(String(/** @type {Error} */ (error).message));
      problem.hidden = false;
    }
  };
  if (question === undefined) void go();
  else {
    const yes = h("button", { class: action === "remove" ? "danger" : "primary", id: "confirm", onclick: () => void go() }, `Yes, ${action}`);
    show(visible(id), h("p", {}, question), problem, h("div", { class: "bar" }, yes, h("button", { onclick: () => dialog().close() }, "Cancel")));
    yes.focus();
  }
}
