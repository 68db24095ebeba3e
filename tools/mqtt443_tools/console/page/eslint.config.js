import js from "@eslint/js";
import globals from "globals";

const HTML = ["innerHTML", "outerHTML", "insertAdjacentHTML", "write", "setHTMLUnsafe"];

export default [
  js.configs.recommended,
  {
    languageOptions: { globals: { ...globals.browser, ...globals.node } },
    rules: {
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-eval": "error",
      "no-restricted-properties": ["error", ...HTML.map((property) => ({ property, message: "what devices send is text" }))],
    },
  },
];
