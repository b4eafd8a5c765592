/**
 * @param {string} words
 * @param {HTMLElement} shown  What shows them.
 * @returns {Promise<boolean>}  Whether they are copied. Over plain http there is no clipboard: then they are marked, and the
 *   person copies them.
 */
export async function copy(words, shown) {
  try {
    await navigator.clipboard.writeText(words);
    return true;
  } catch {
    getSelection()?.selectAllChildren(shown);
    return false;
  }
}
