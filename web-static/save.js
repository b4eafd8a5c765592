/** How long a browser may take to begin a download: milliseconds. */
const REVOKE_AFTER = 60_000;

/**
 * Hands a file to the browser's downloads.
 *
 * @param {Blob} file
 * @param {string} path  Its last name is what it is saved as.
 */
export function save(file, path) {
  const address = URL.createObjectURL(file.slice(0, file.size, 'application/octet-stream'));
  const anchor = document.createElement('a');
  anchor.href = address;
  anchor.download = path.slice(path.lastIndexOf('/') + 1);
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), REVOKE_AFTER);
}
