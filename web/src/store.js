// What `helrm query` keeps in its state directory, here in IndexedDB (database "helrm", store "files"), under the
// same names and in the same formats: secret.key, sealed, and servers/SERVER/PARAMETERS.access.
const isThere = () => typeof indexedDB === "object" && indexedDB !== null;
const memory = new Map(); // where there is no IndexedDB

function request(mode, use) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("helrm", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("files");
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const db = opening.result, asked = use(db.transaction("files", mode).objectStore("files"));
      asked.onsuccess = () => (db.close(), resolve(asked.result));
      asked.onerror = () => (db.close(), reject(asked.error));
    };
  });
}
export const read = async (name) => (isThere() ? request("readonly", (s) => s.get(name)) : memory.get(name));
/** False where another tab was first: its file stays. */
export async function add(name, bytes) {
  if (!isThere()) return memory.has(name) ? false : (memory.set(name, bytes), true);
  try { await request("readwrite", (s) => s.add(bytes, name)); return true; } catch (e) {
    if (e?.name === "ConstraintError") return false;
    throw e;
  }
}
export const write = async (name, bytes) => void (isThere() ? await request("readwrite", (s) => s.put(bytes, name)) : memory.set(name, bytes));
export const remove = async (name) => void (isThere() ? await request("readwrite", (s) => s.delete(name)) : memory.delete(name));
