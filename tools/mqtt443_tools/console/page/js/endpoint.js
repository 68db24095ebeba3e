/** What the page knows of the endpoint that it shows, from the first batch of the server. */

export const endpoint = {
  /** Options of mqtt443's commands that lead to it, such as "--stack mqtt443". */
  options: "",
};
