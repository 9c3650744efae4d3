// For emscripten's own glue (tests under node); the package brings its own imports: helrm.js.
const { library } = LibraryManager;
mergeInto(library, {
  helrm_random: function (out, size) {
    for (let at = 0; at < size; at += 65536)
      crypto.getRandomValues(HEAPU8.subarray(out + at, out + Math.min(size, at + 65536)));
  },
});
