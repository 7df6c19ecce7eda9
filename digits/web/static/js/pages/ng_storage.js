// @ts-check
// The AngularJS module `ngStorage`, which templates of the original's views name: objects `$localStorage` and `$sessionStorage`
// whose properties are kept in the browser, each as JSON under `ngStorage-` and its name. A plain script: it must be there before a
// page is bootstrapped.
(() => {
  const angular = /** @type {any} */ (globalThis).angular;
  if (!angular) return;
  const WAIT = 100; // milliseconds after a change until it is written

  /** @param {string} name */
  const isKept = (name) => name[0] !== "$" && name[0] !== "_";

  /**
   * @param {Storage} store
   * @param {{prefix: string, write: (value: any) => string, read: (text: string) => any}} how
   * @param {any} $rootScope
   * @param {any} $timeout
   */
  function kept(store, how, $rootScope, $timeout) {
    /** @type {Record<string, string>} */
    let written = {};
    /** @type {any} */
    let waiting = null;

    const storage = /** @type {any} */ ({
      /** @param {Record<string, any>} items */
      $default(items) {
        for (const [name, value] of Object.entries(items)) {
          if (storage[name] === undefined) storage[name] = angular.copy(value);
        }
        storage.$sync();
        return storage;
      },
      /** @param {Record<string, any>} [items] */
      $reset(items) {
        for (const name of Object.keys(storage).filter(isKept)) {
          delete storage[name];
          store.removeItem(how.prefix + name);
        }
        written = {};
        return storage.$default(items ?? {});
      },
      $sync() {
        for (const full of Object.keys(store).filter((name) => name.startsWith(how.prefix))) {
          const name = full.slice(how.prefix.length);
          if (isKept(name)) take(name, store.getItem(full));
        }
      },
      $apply() {
        waiting = null;
        const names = new Set([...Object.keys(written), ...Object.keys(storage).filter(isKept)]);
        for (const name of names) put(name);
      },
      $supported: () => true,
    });

    /**
     * @param {string} name
     * @param {string | null} text
     */
    function take(name, text) {
      if (text === null) {
        delete storage[name];
        delete written[name];
        return;
      }
      try {
        storage[name] = how.read(text);
        written[name] = text;
      } catch {
        // what something else has put there is not ours
      }
    }

    /** @param {string} name */
    function put(name) {
      const text = storage[name] === undefined ? undefined : how.write(storage[name]);
      if (text === written[name]) return;
      if (text === undefined) {
        store.removeItem(how.prefix + name);
        delete written[name];
      } else {
        store.setItem(how.prefix + name, text);
        written[name] = text;
      }
    }

    storage.$sync();
    $rootScope.$watch(() => {
      waiting = waiting ?? $timeout(storage.$apply, WAIT, false);
    });
    globalThis.addEventListener("storage", (event) => {
      if (event.storageArea !== store || !event.key?.startsWith(how.prefix)) return;
      take(event.key.slice(how.prefix.length), event.newValue);
      $rootScope.$apply();
    });
    globalThis.addEventListener("pagehide", () => storage.$apply());
    return storage;
  }

  /**
   * @this {any}
   * @param {() => Storage} store
   */
  function Provider(store) {
    const how = { prefix: "ngStorage-", write: angular.toJson, read: angular.fromJson };
    /** @param {string} prefix */
    this.setKeyPrefix = (prefix) => (how.prefix = prefix);
    /** @param {(value: any) => string} write */
    this.setSerializer = (write) => (how.write = write);
    /** @param {(text: string) => any} read */
    this.setDeserializer = (read) => (how.read = read);
    /** @param {string} name */
    this.get = (name) => how.read(store().getItem(how.prefix + name) ?? "null");
    /**
     * @param {string} name
     * @param {any} value
     */
    this.set = (name, value) => store().setItem(how.prefix + name, how.write(value));
    /**
     * @param {any} $rootScope
     * @param {any} $timeout
     */
    this.$get = ["$rootScope", "$timeout", (/** @type {any} */ $rootScope, /** @type {any} */ $timeout) => {
      return kept(store(), how, $rootScope, $timeout);
    }];
  }

  angular.module("ngStorage", [])
    .provider("$localStorage", /** @this {any} */ function () {
      Provider.call(this, () => localStorage);
    })
    .provider("$sessionStorage", /** @this {any} */ function () {
      Provider.call(this, () => sessionStorage);
    });
})();
