/**
 * The receiver's side of everything, without a socket, a clock or a disk.
 */
export class Session {
    static __wrap(ptr) {
        const obj = Object.create(Session.prototype);
        obj.__wbg_ptr = ptr;
        SessionFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        SessionFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_session_free(ptr, 0);
    }
    /**
     * The user agrees.
     */
    accept() {
        wasm.session_accept(this.__wbg_ptr);
    }
    /**
     * The user stops it.
     */
    cancel() {
        wasm.session_cancel(this.__wbg_ptr);
    }
    /**
     * There is no room here, or nothing to store so much in.
     */
    declineForSpace() {
        wasm.session_declineForSpace(this.__wbg_ptr);
    }
    /**
     * The user does not agree.
     */
    decline() {
        wasm.session_decline(this.__wbg_ptr);
    }
    /**
     * How many entries the manifest has.
     * @returns {number}
     */
    get entryCount() {
        const ret = wasm.session_entryCount(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * File number `file`, counted as the manifest does, as JSON: `path`, `size`, and `key`, which is the same for every file
     * of this path and size; nothing for what is not a file.
     * @param {number} file
     * @returns {string | undefined}
     */
    file(file) {
        const ret = wasm.session_file(this.__wbg_ptr, file);
        let v1;
        if (ret[0] !== 0) {
            v1 = getStringFromWasm0(ret[0], ret[1]);
            wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        }
        return v1;
    }
    /**
     * The browser answers the offer.
     * @param {string} sdp
     */
    handleAnswer(sdp) {
        const ptr0 = passStringToWasm0(sdp, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        wasm.session_handleAnswer(this.__wbg_ptr, ptr0, len0);
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
        wasm.session_handleCandidate(this.__wbg_ptr, ptr0, len0, ptr1, len1);
    }
    /**
     * The browser knows all its addresses.
     */
    handleEndOfCandidates() {
        wasm.session_handleEndOfCandidates(this.__wbg_ptr);
    }
    /**
     * Everything is stored.
     */
    handleFinished() {
        wasm.session_handleFinished(this.__wbg_ptr);
    }
    /**
     * A frame of the rendezvous arrived.
     * @param {string} frame
     */
    handleFrame(frame) {
        const ptr0 = passStringToWasm0(frame, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        wasm.session_handleFrame(this.__wbg_ptr, ptr0, len0);
    }
    /**
     * A path is gone, or did not come about.
     * @param {number} lane
     */
    handleLaneLost(lane) {
        wasm.session_handleLaneLost(this.__wbg_ptr, lane);
    }
    /**
     * What was to become a connection came to nothing.
     */
    handleLost() {
        wasm.session_handleLost(this.__wbg_ptr);
    }
    /**
     * A path is open. `entropy` is 32 fresh random bytes.
     *
     * # Errors
     * An error when there is less entropy.
     * @param {number} lane
     * @param {Uint8Array | number[]} entropy
     */
    handleOpen(lane, entropy) {
        const val2 = +lane;
        const ptr0 = passArray8ToWasm0(entropy, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.session_handleOpen(this.__wbg_ptr, val2, ptr0, len0);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * A record of `len` bytes that came over this path is in the staging buffer. `false` when it is not its turn: it is to be
     * given again, once `turn` is said of the path.
     * @param {number} lane
     * @param {number} len
     * @returns {boolean}
     */
    handleRecord(lane, len) {
        const ret = wasm.session_handleRecord(this.__wbg_ptr, lane, len);
        return ret !== 0;
    }
    /**
     * The rendezvous is gone: that matters until there is a channel.
     */
    handleServerGone() {
        wasm.session_handleServerGone(this.__wbg_ptr);
    }
    /**
     * Nobody was heard for too long on the path that carries the transfer.
     */
    handleSilence() {
        wasm.session_handleSilence(this.__wbg_ptr);
    }
    /**
     * The browser's storage refuses.
     */
    handleStorageError() {
        wasm.session_handleStorageError(this.__wbg_ptr);
    }
    /**
     * The browser's storage is full.
     */
    handleStorageFull() {
        wasm.session_handleStorageFull(this.__wbg_ptr);
    }
    /**
     * The writes of a record of `len` bytes are done.
     * @param {number} len
     */
    handleWritten(len) {
        wasm.session_handleWritten(this.__wbg_ptr, len);
    }
    /**
     * What was read of file number `file` since it was called last is how it begins in the storage; to be said before
     * [`Session::accept`]. How many bytes of that are of use: all of them, or whole chunks. Whether the sender's file begins
     * like that shows afterwards.
     * @param {number} file
     * @returns {bigint}
     */
    hold(file) {
        const ret = wasm.session_hold(this.__wbg_ptr, file);
        return BigInt.asUintN(64, ret);
    }
    /**
     * Whether everything is here, verified and stored.
     * @returns {boolean}
     */
    get isComplete() {
        const ret = wasm.session_isComplete(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Whether this side has given up while the two were apart, and the sender has yet to be told: after `join`, over a new
     * socket, it will be if it comes.
     * @returns {boolean}
     */
    get isLeaving() {
        const ret = wasm.session_isLeaving(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Whether the rendezvous carries the transfer.
     * @returns {boolean}
     */
    get isRelayed() {
        const ret = wasm.session_isRelayed(this.__wbg_ptr);
        return ret !== 0;
    }
    /**
     * Looks for the sender where the two meet again, or at its door as long as nothing was proved there, over a new socket.
     * `entropy` is 32 fresh random bytes.
     *
     * # Errors
     * An error when there is less entropy.
     * @param {Uint8Array | number[]} entropy
     */
    join(entropy) {
        const ptr0 = passArray8ToWasm0(entropy, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.session_join(this.__wbg_ptr, ptr0, len0);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * The number of the path that carries the transfer, once one does.
     * @returns {number | undefined}
     */
    get lane() {
        const ret = wasm.session_lane(this.__wbg_ptr);
        return ret === Number.MAX_SAFE_INTEGER ? undefined : ret;
    }
    /**
     * Tells the sender that this side leaves.
     */
    leave() {
        wasm.session_leave(this.__wbg_ptr);
    }
    /**
     * Claims the door that `ticket` names. `entropy` is 32 fresh random bytes.
     *
     * # Errors
     * An error when there is less entropy.
     * @param {Ticket} ticket
     * @param {Uint8Array | number[]} entropy
     */
    constructor(ticket, entropy) {
        _assertClass(ticket, Ticket);
        const ptr0 = passArray8ToWasm0(entropy, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.session_new(ticket.__wbg_ptr, ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        this.__wbg_ptr = ret[0];
        SessionFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Shows the sender that this side is alive.
     */
    ping() {
        wasm.session_ping(this.__wbg_ptr);
    }
    /**
     * What to do next, as JSON; nothing until something happens.
     * @returns {string | undefined}
     */
    poll() {
        const ret = wasm.session_poll(this.__wbg_ptr);
        let v1;
        if (ret[0] !== 0) {
            v1 = getStringFromWasm0(ret[0], ret[1]);
            wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        }
        return v1;
    }
    /**
     * The first `len` bytes at [`Session::staging`] are the next of a file of which something is stored.
     * @param {number} len
     */
    readHeld(len) {
        wasm.session_readHeld(this.__wbg_ptr, len);
    }
    /**
     * The record to transmit.
     * @returns {Uint8Array | undefined}
     */
    record() {
        const ret = wasm.session_record(this.__wbg_ptr);
        let v1;
        if (ret[0] !== 0) {
            v1 = getArrayU8FromWasm0(ret[0], ret[1]).slice();
            wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        }
        return v1;
    }
    /**
     * Goes on with what an instance before this one has left, whose connection is lost with it: `join` follows. The sender
     * offers everything again; what is stored is said by [`Session::hold`] and agreed to by [`Session::accept`].
     *
     * # Errors
     * An error when `token` is not what [`Session::token`] gave.
     * @param {Uint8Array | number[]} token
     * @returns {Session}
     */
    static restore(token) {
        const ptr0 = passArray8ToWasm0(token, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.session_restore(ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return Session.__wrap(ret[0]);
    }
    /**
     * Bytes at [`Session::staging`]: no record is longer.
     * @returns {number}
     */
    get room() {
        const ret = wasm.session_room(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * Does a slice of the work that the rendezvous wants; what is next says whether there is more.
     */
    search() {
        wasm.session_search(this.__wbg_ptr);
    }
    /**
     * Where a record goes before [`Session::handle_record`], as an address in the module's memory.
     * @returns {number}
     */
    staging() {
        const ret = wasm.session_staging(this.__wbg_ptr);
        return ret >>> 0;
    }
    /**
     * What [`Session::restore`] goes on with, once the two have had a channel: 32 bytes that are secret.
     * @returns {Uint8Array | undefined}
     */
    token() {
        const ret = wasm.session_token(this.__wbg_ptr);
        let v1;
        if (ret[0] !== 0) {
            v1 = getArrayU8FromWasm0(ret[0], ret[1]).slice();
            wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        }
        return v1;
    }
}
if (Symbol.dispose) Session.prototype[Symbol.dispose] = Session.prototype.free;

/**
 * Where to go, and the password to go there with.
 */
export class Ticket {
    static __wrap(ptr) {
        const obj = Object.create(Ticket.prototype);
        obj.__wbg_ptr = ptr;
        TicketFinalization.register(obj, obj.__wbg_ptr, obj);
        return obj;
    }
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        TicketFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_ticket_free(ptr, 0);
    }
    /**
     * The address that a link names, without a `/` at its end; nothing for a code.
     * @returns {string | undefined}
     */
    get origin() {
        const ret = wasm.ticket_origin(this.__wbg_ptr);
        let v1;
        if (ret[0] !== 0) {
            v1 = getStringFromWasm0(ret[0], ret[1]);
            wasm.__wbindgen_free(ret[0], ret[1] * 1, 1);
        }
        return v1;
    }
    /**
     * Reads a code or a link. A text that begins as a link does is never taken for a code.
     *
     * # Errors
     * An error whose message is a word for what is wrong.
     * @param {string} text
     * @returns {Ticket}
     */
    static parse(text) {
        const ptr0 = passStringToWasm0(text, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.ticket_parse(ptr0, len0);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        return Ticket.__wrap(ret[0]);
    }
    /**
     * A name under which a tried code can be remembered: without `salt`, which stays in the browser, it says nothing.
     * @param {Uint8Array | number[]} salt
     * @returns {string}
     */
    trace(salt) {
        let deferred2_0;
        let deferred2_1;
        try {
            const ptr0 = passArray8ToWasm0(salt, wasm.__wbindgen_malloc);
            const len0 = WASM_VECTOR_LEN;
            const ret = wasm.ticket_trace(this.__wbg_ptr, ptr0, len0);
            deferred2_0 = ret[0];
            deferred2_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred2_0, deferred2_1, 1);
        }
    }
}
if (Symbol.dispose) Ticket.prototype[Symbol.dispose] = Ticket.prototype.free;

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
        "./wire_bg.js": import0,
    };
}

const SessionFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_session_free(ptr, 1));
const TicketFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_ticket_free(ptr, 1));

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
