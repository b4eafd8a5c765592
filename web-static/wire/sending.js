/**
 * Files in the order in which they will travel.
 */
export class Offer {
    static __wrap(ptr) {
        const obj = Object.create(Offer.prototype);
        obj.__wbg_ptr = ptr;
        OfferFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        OfferFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_offer_free(ptr, 0);
    }
    /**
     * An offer of nothing.
     */
    constructor() {
        const ret = wasm.offer_new();
        this.__wbg_ptr = ret;
        OfferFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Adds a file of `size` bytes, modified `mtime` seconds after 1970, and gives the path under which it travels. Names
     * that not every system can store are changed, and so are those that one system takes for one it has already.
     *
     * # Errors
     * An error whose message is a word: `path` for one that is too deep or too long.
     * @param {string} path
     * @param {bigint} size
     * @param {bigint} mtime
     * @returns {string}
     */
    push(path, size, mtime) {
        let deferred5_0;
        let deferred5_1;
        try {
            const val2 = BigInt.asIntN(64, size);
            const val3 = BigInt.asIntN(64, mtime);
            const ptr0 = passStringToWasm0(path, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            const len0 = WASM_VECTOR_LEN;
            const ret = wasm.offer_push(this.__wbg_ptr, ptr0, len0, val2, val3);
            var ptr4 = ret[0];
            var len4 = ret[1];
            if (ret[3]) {
                ptr4 = 0; len4 = 0;
                throw takeFromExternrefTable0(ret[2]);
            }
            deferred5_0 = ptr4;
            deferred5_1 = len4;
            return getStringFromWasm0(ptr4, len4);
        } finally {
            wasm.__wbindgen_free(deferred5_0, deferred5_1, 1);
        }
    }
    /**
     * An offer of a text, which is the one file that is added, of at most a mebibyte: the receiver shows it.
     * @returns {Offer}
     */
    static text() {
        const ret = wasm.offer_text();
        return Offer.__wrap(ret);
    }
}
if (Symbol.dispose) Offer.prototype[Symbol.dispose] = Offer.prototype.free;

/**
 * The sender's side of everything, without a socket, a clock or a disk. Times are in milliseconds, from any beginning.
 *
 * After whatever happened: [`Sending::poll`] until it gives nothing.
 */
export class Sending {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        SendingFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_sending_free(ptr, 0);
    }
    /**
     * The user stops it.
     */
    cancel() {
        wasm.sending_cancel(this.__wbg_ptr);
    }
    /**
     * The page is looked at again, or the network is another: whether the other side is still there shows within seconds.
     * @param {number} now
     */
    handleAwake(now) {
        wasm.sending_handleAwake(this.__wbg_ptr, now);
    }
    /**
     * The browser has found an address of this side.
     * @param {string} candidate
     * @param {string} mid
     */
    handleCandidate(candidate, mid) {
        let ptr0, len0, ptr1, len1;
        try {
            ptr0 = passStringToWasm0(candidate, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            len0 = WASM_VECTOR_LEN;
            ptr1 = passStringToWasm0(mid, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            len1 = WASM_VECTOR_LEN;
        } catch (e) {
            if (ptr1) { wasm.__wbindgen_free(ptr1, len1 * 1, 1); }
            if (ptr0) { wasm.__wbindgen_free(ptr0, len0 * 1, 1); }
            throw e;
        }
        wasm.sending_handleCandidate(this.__wbg_ptr, ptr0, len0, ptr1, len1);
    }
    /**
     * The browser knows all its addresses.
     */
    handleEndOfCandidates() {
        wasm.sending_handleEndOfCandidates(this.__wbg_ptr);
    }
    /**
     * A frame of the rendezvous arrived.
     * @param {string} frame
     * @param {number} now
     */
    handleFrame(frame, now) {
        const val2 = +now;
        const ptr0 = passStringToWasm0(frame, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        wasm.sending_handleFrame(this.__wbg_ptr, ptr0, len0, val2);
    }
    /**
     * A path is gone, or did not come about.
     * @param {number} lane
     */
    handleLaneLost(lane) {
        wasm.sending_handleLaneLost(this.__wbg_ptr, lane);
    }
    /**
     * What was to become a connection came to nothing.
     * @param {number} now
     */
    handleLost(now) {
        wasm.sending_handleLost(this.__wbg_ptr, now);
    }
    /**
     * The browser has made an offer.
     * @param {string} sdp
     */
    handleOffer(sdp) {
        const ptr0 = passStringToWasm0(sdp, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        wasm.sending_handleOffer(this.__wbg_ptr, ptr0, len0);
    }
    /**
     * A path is open.
     * @param {number} lane
     */
    handleOpen(lane) {
        wasm.sending_handleOpen(this.__wbg_ptr, lane);
    }
    /**
     * The page has found out how the two sides are connected, in the words it shows: `network`, `direct` or `relayed`.
     * @param {string} path
     */
    handlePath(path) {
        const ptr0 = passStringToWasm0(path, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        wasm.sending_handlePath(this.__wbg_ptr, ptr0, len0);
    }
    /**
     * The bytes that were asked for are where they go.
     */
    handleRead() {
        wasm.sending_handleRead(this.__wbg_ptr);
    }
    /**
     * A record of `len` bytes that came over this path is in the staging buffer. `false` when it is not its turn: it is to be
     * given again, once `turn` is said of the path.
     * @param {number} lane
     * @param {number} len
     * @param {number} now
     * @returns {boolean}
     */
    handleRecord(lane, len, now) {
        const ret = wasm.sending_handleRecord(this.__wbg_ptr, lane, len, now);
        return ret !== 0;
    }
    /**
     * The rendezvous is gone: that matters until there is a channel.
     * @param {number} now
     */
    handleServerGone(now) {
        wasm.sending_handleServerGone(this.__wbg_ptr, now);
    }
    /**
     * Tells the time: at least twice a second.
     * @param {number} now
     */
    handleTime(now) {
        wasm.sending_handleTime(this.__wbg_ptr, now);
    }
    /**
     * A file cannot be read any more, or has changed.
     * @param {number} file
     */
    handleUnreadable(file) {
        wasm.sending_handleUnreadable(this.__wbg_ptr, file);
    }
    /**
     * The time has passed that `wait` asked for.
     */
    handleWaited() {
        wasm.sending_handleWaited(this.__wbg_ptr);
    }
    /**
     * Whether the receiver has everything.
     * @returns {boolean}
     */
    get isDone() {
        const ret = wasm.sending_isDone(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Whether this side has given up while the two were apart, and the receiver has yet to be told: after `join`, over a new
     * socket, it will be if it comes.
     * @returns {boolean}
     */
    get isLeaving() {
        const ret = wasm.sending_isLeaving(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Whether somebody has proved that they know the password.
     * @returns {boolean}
     */
    get isMet() {
        const ret = wasm.sending_isMet(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Whether the rendezvous carries the transfer.
     * @returns {boolean}
     */
    get isRelayed() {
        const ret = wasm.sending_isRelayed(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Looks, over a new socket, for the receiver where the two meet again; or before there was one, for the doors.
     * @param {number} now
     */
    join(now) {
        wasm.sending_join(this.__wbg_ptr, now);
    }
    /**
     * The number of the path that carries the transfer, once one does.
     * @returns {number | undefined}
     */
    get lane() {
        const ret = wasm.sending_lane(this.__wbg_ptr);
        return ret === Number.MAX_SAFE_INTEGER ? undefined : ret;
    }
    /**
     * Asks for doors. `base` is the address of the page, under which receivers find it; a private rendezvous asks for its
     * `token`; `entropy` is 32 fresh random bytes.
     *
     * # Errors
     * An error when there is less entropy; `nothing` for an offer without files; `names` for one that cannot be made.
     * @param {string} base
     * @param {Offer} offer
     * @param {string | null | undefined} token
     * @param {Uint8Array | number[]} entropy
     * @param {number} now
     */
    constructor(base, offer, token, entropy, now) {
        _assertClass(offer, Offer);
        const val4 = +now;
        let ptr0, len0, ptr1, len1, ptr2, len2;
        try {
            ptr0 = passStringToWasm0(base, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            len0 = WASM_VECTOR_LEN;
            ptr1 = isLikeNone(token) ? 0 : passStringToWasm0(token, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            len1 = WASM_VECTOR_LEN;
            ptr2 = passArray8ToWasm0(entropy, wasm.__wbindgen_malloc);
            len2 = WASM_VECTOR_LEN;
        } catch (e) {
            if (ptr2) { wasm.__wbindgen_free(ptr2, len2 * 1, 1); }
            if (ptr1) { wasm.__wbindgen_free(ptr1, len1 * 1, 1); }
            if (ptr0) { wasm.__wbindgen_free(ptr0, len0 * 1, 1); }
            throw e;
        }
        const ret = wasm.sending_new(ptr0, len0, offer.__wbg_ptr, ptr1, len1, ptr2, len2, val4);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        this.__wbg_ptr = ret[0];
        SendingFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * What to do next, as JSON; nothing until something happens.
     * @returns {string | undefined}
     */
    poll() {
        const ret = wasm.sending_poll(this.__wbg_ptr);
        let v1;
        if (ret[0] !== 0) {
            v1 = getStringFromWasm0(ret[0], ret[1]);
            wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        }
        return v1;
    }
    /**
     * The record to transmit.
     * @returns {Uint8Array | undefined}
     */
    record() {
        const ret = wasm.sending_record(this.__wbg_ptr);
        let v1;
        if (ret[0] !== 0) {
            v1 = getArrayU8FromWasm0(ret[0], ret[1]).slice();
            wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        }
        return v1;
    }
    /**
     * Bytes at [`Sending::room`]: as many as were asked for, and none once nobody waits for them.
     * @returns {number}
     */
    get roomLen() {
        const ret = wasm.sending_roomLen(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Where the bytes go that were asked for, as an address in the module's memory.
     * @returns {number}
     */
    room() {
        const ret = wasm.sending_room(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Does a slice of the work that the rendezvous wants; what is next says whether there is more.
     * @param {number} now
     */
    search(now) {
        wasm.sending_search(this.__wbg_ptr, now);
    }
    /**
     * Bytes at [`Sending::staging`]: no record is longer.
     * @returns {number}
     */
    get stagingLen() {
        const ret = wasm.sending_stagingLen(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Where a record goes before [`Sending::handle_record`], as an address in the module's memory.
     * @returns {number}
     */
    staging() {
        const ret = wasm.sending_staging(this.__wbg_ptr);
        return ret >>> 0;
    }
}
if (Symbol.dispose) Sending.prototype[Symbol.dispose] = Sending.prototype.free;

/**
 * How long a receiver that has everything waits for the sender to know, in milliseconds.
 * @returns {number}
 */
export function doneLinger() {
    const ret = wasm.doneLinger();
    return ret;
}

/**
 * A side that has sent nothing for this long says so, in milliseconds.
 * @returns {number}
 */
export function pingInterval() {
    const ret = wasm.pingInterval();
    return ret;
}

/**
 * The modules of a QR code without a quiet zone, row after row: 1 is dark. As many rows as columns. Nothing for a text
 * that is too long.
 * @param {string} text
 * @returns {Uint8Array | undefined}
 */
export function qrModules(text) {
    const ptr0 = passStringToWasm0(text, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
    const len0 = WASM_VECTOR_LEN;
    const ret = wasm.qrModules(ptr0, len0);
    let v2;
    if (ret[0] !== 0) {
        v2 = getArrayU8FromWasm0(ret[0], ret[1]).slice();
        wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
    }
    return v2;
}

/**
 * Without a record for this long the path is lost, in milliseconds.
 * @returns {number}
 */
export function silenceLimit() {
    const ret = wasm.silenceLimit();
    return ret;
}

/**
 * Where the rendezvous' socket is, below the address of the page.
 * @returns {string}
 */
export function socketPath() {
    let deferred1_0;
    let deferred1_1;
    try {
        const ret = wasm.socketPath();
        deferred1_0 = ret[0];
        deferred1_1 = ret[1];
        return getStringFromWasm0(ret[0], ret[1]);
    } finally {
        wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
    }
}
function __wbg_get_imports() {
    const import0 = {
        __proto__: null,
        __wbg_Error_208446807d0d1e30: function(arg0, arg1) {
            const ret = Error(getStringFromWasm0(arg0, arg1));
            return ret;
        },
        __wbg_String_ff07b0885a13ef14: function(arg0, arg1) {
            const ret = String(getStringFromWasm0(arg0, arg1));
            return ret;
        },
        __wbg___wbindgen_throw_4c88d8bf264fd984: function(arg0, arg1) {
            throw new Error(getStringFromWasm0(arg0, arg1));
        },
        __wbg_new_5401540b6a9a9485: function(arg0, arg1, arg2, arg3) {
            const ret = new RegExp(getStringFromWasm0(arg0, arg1), getStringFromWasm0(arg2, arg3));
            return ret;
        },
        __wbg_normalize_2d58d0d705fd97cb: function(arg0, arg1, arg2, arg3) {
            const ret = arg1.normalize(getStringFromWasm0(arg2, arg3));
            const ptr1 = passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            const len1 = WASM_VECTOR_LEN;
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
        },
        __wbg_test_910bca30fb1b988d: function(arg0, arg1, arg2) {
            const ret = arg0.test(getStringFromWasm0(arg1, arg2));
            return ret;
        },
        __wbg_toLowerCase_b4c5a4ad3ff0890a: function(arg0, arg1) {
            const ret = arg1.toLowerCase();
            const ptr1 = passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            const len1 = WASM_VECTOR_LEN;
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
        },
        __wbg_toUpperCase_4e909901507eeaae: function(arg0, arg1) {
            const ret = arg1.toUpperCase();
            const ptr1 = passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            const len1 = WASM_VECTOR_LEN;
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 1, len1, true);
            getDataViewMemory0().setInt32((arg0 >>> 0) + 4 * 0, ptr1, true);
        },
        __wbindgen_init_externref_table: function() {
            const table = wasm.__wbindgen_externrefs;
            table.set(0, undefined);
            table.set(1024, undefined);
            table.set(1025, null);
            table.set(1026, true);
            table.set(1027, false);
        },
    };
    return {
        __proto__: null,
        "./sending_bg.js": import0,
    };
}

const OfferFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_offer_free(ptr, 1));
const SendingFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_sending_free(ptr, 1));

function _assertClass(instance, klass) {
    if (!(instance instanceof klass)) {
        throw new Error(`expected instance of ${klass.name}`);
    }
}

function getArrayU8FromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return getUint8ArrayMemory0().subarray(ptr / 1, ptr / 1 + len);
}

let cachedDataViewMemory0 = null;
function getDataViewMemory0() {
    if (cachedDataViewMemory0 === null || cachedDataViewMemory0.buffer.detached === true || (cachedDataViewMemory0.buffer.detached === undefined && cachedDataViewMemory0.buffer !== wasm.memory.buffer)) {
        cachedDataViewMemory0 = new DataView(wasm.memory.buffer);
    }
    return cachedDataViewMemory0;
}

function getStringFromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return decodeText(getUint8ArrayMemory0().subarray(ptr, ptr + len));
}

let cachedUint8ArrayMemory0 = null;
function getUint8ArrayMemory0() {
    if (cachedUint8ArrayMemory0 === null || cachedUint8ArrayMemory0.byteLength === 0) {
        cachedUint8ArrayMemory0 = new Uint8Array(wasm.memory.buffer);
    }
    return cachedUint8ArrayMemory0;
}

function isLikeNone(x) {
    return x === undefined || x === null;
}

function passArray8ToWasm0(arg, malloc) {
    const ptr = malloc(arg.length * 1, 1) >>> 0;
    getUint8ArrayMemory0().set(arg, ptr / 1);
    WASM_VECTOR_LEN = arg.length;
    return ptr;
}

function passStringToWasm0(arg, malloc, realloc) {
    if (realloc === undefined) {
        const buf = cachedTextEncoder.encode(arg);
        const ptr = malloc(buf.length, 1) >>> 0;
        getUint8ArrayMemory0().subarray(ptr, ptr + buf.length).set(buf);
        WASM_VECTOR_LEN = buf.length;
        return ptr;
    }

    let len = arg.length;
    let ptr = malloc(len, 1) >>> 0;

    const mem = getUint8ArrayMemory0();

    let offset = 0;

    for (; offset < len; offset++) {
        const code = arg.charCodeAt(offset);
        if (code > 0x7F) break;
        mem[ptr + offset] = code;
    }
    if (offset !== len) {
        if (offset !== 0) {
            arg = arg.slice(offset);
        }
        ptr = realloc(ptr, len, len = offset + arg.length * 3, 1) >>> 0;
        const view = getUint8ArrayMemory0().subarray(ptr + offset, ptr + len);
        const ret = cachedTextEncoder.encodeInto(arg, view);

        offset += ret.written;
        ptr = realloc(ptr, len, offset, 1) >>> 0;
    }

    WASM_VECTOR_LEN = offset;
    return ptr;
}

function takeFromExternrefTable0(idx) {
    const value = wasm.__wbindgen_externrefs.get(idx);
    wasm.__externref_table_dealloc(idx);
    return value;
}

let cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
cachedTextDecoder.decode();
const MAX_SAFARI_DECODE_BYTES = 2146435072;
let numBytesDecoded = 0;
function decodeText(bytes) {
    numBytesDecoded += bytes.length;
    if (numBytesDecoded >= MAX_SAFARI_DECODE_BYTES) {
        cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true });
        cachedTextDecoder.decode();
        numBytesDecoded = bytes.length;
    }
    return cachedTextDecoder.decode(bytes);
}

const cachedTextEncoder = new TextEncoder();

if (!('encodeInto' in cachedTextEncoder)) {
    cachedTextEncoder.encodeInto = function (arg, view) {
        const buf = cachedTextEncoder.encode(arg);
        view.set(buf);
        return {
            read: arg.length,
            written: buf.length
        };
    };
}

let WASM_VECTOR_LEN = 0;

let wasmModule, wasmInstance, wasm;
function __wbg_finalize_init(instance, module) {
    wasmInstance = instance;
    wasm = instance.exports;
    wasmModule = module;
    cachedDataViewMemory0 = null;
    cachedUint8ArrayMemory0 = null;
    wasm.__wbindgen_start();
    return wasm;
}

async function __wbg_load(module, imports) {
    if (typeof Response === 'function' && module instanceof Response) {
        if (!module.ok) {
            throw new Error(`failed to fetch Wasm: ${module.status} ${module.statusText} fetching '${module.url}'`);
        }

        if (typeof WebAssembly.instantiateStreaming === 'function') {
            try {
                return await WebAssembly.instantiateStreaming(module, imports);
            } catch (e) {
                const validResponse = expectedResponseType(module.type);

                if (validResponse && module.headers.get('Content-Type') !== 'application/wasm') {
                    console.warn("`WebAssembly.instantiateStreaming` failed because your server does not serve Wasm with `application/wasm` MIME type. Falling back to `WebAssembly.instantiate` which is slower. Original error:\n", e);

                } else { throw e; }
            }
        }

        const bytes = await module.arrayBuffer();
        return await WebAssembly.instantiate(bytes, imports);
    } else {
        const instance = await WebAssembly.instantiate(module, imports);

        if (instance instanceof WebAssembly.Instance) {
            return { instance, module };
        } else {
            return instance;
        }
    }

    function expectedResponseType(type) {
        switch (type) {
            case 'basic': case 'cors': case 'default': return true;
        }
        return false;
    }
}

function initSync(module) {
    if (wasm !== undefined) return wasm;


    if (module !== undefined) {
        if (Object.getPrototypeOf(module) === Object.prototype) {
            ({module} = module)
        } else {
            console.warn('using deprecated parameters for `initSync()`; pass a single object instead')
        }
    }

    const imports = __wbg_get_imports();
    if (!(module instanceof WebAssembly.Module)) {
        module = new WebAssembly.Module(module);
    }
    const instance = new WebAssembly.Instance(module, imports);
    return __wbg_finalize_init(instance, module);
}

let __wbg_init_promise;
async function __wbg_init(module_or_path) {
    if (wasm !== undefined) return wasm;
    if (__wbg_init_promise === undefined) {
        __wbg_init_promise = __wbg_init_once(module_or_path);
        __wbg_init_promise.catch(() => { __wbg_init_promise = undefined; });
    }
    return __wbg_init_promise;
}

async function __wbg_init_once(module_or_path) {

    if (module_or_path !== undefined) {
        if (Object.getPrototypeOf(module_or_path) === Object.prototype) {
            ({module_or_path} = module_or_path)
        } else {
            console.warn('using deprecated parameters for the initialization function; pass a single object instead')
        }
    }


    const imports = __wbg_get_imports();

    if (typeof module_or_path === 'string' || (typeof Request === 'function' && module_or_path instanceof Request) || (typeof URL === 'function' && module_or_path instanceof URL)) {
        module_or_path = fetch(module_or_path);
    }

    const { instance, module } = await __wbg_load(await module_or_path, imports);

    return __wbg_finalize_init(instance, module);
}

export { initSync, __wbg_init as default };
