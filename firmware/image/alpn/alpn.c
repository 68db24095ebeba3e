// The module `alpn`: lets a tls.SSLContext offer application protocols (RFC 7301), which MicroPython itself cannot.
//
//     alpn.set_protocols(context, ["mqtt"])   before context.wrap_socket()
//     alpn.selected(socket)                   after the handshake: the server's choice, or None if it made none
//
// A user C module: nothing in MicroPython's tree is changed. MicroPython keeps its mbedtls_ssl_config and
// mbedtls_ssl_context inside objects whose layout it does not publish. They are found by what MicroPython itself wrote
// into them (see find_config and find_session), within the object's own heap block, and only if all of it fits; a
// MicroPython that lays them out in another way gets a RuntimeError, and nothing is written. It keeps no state, so there
// is nothing that could go stale. TLS itself, and closing, stay with `tls`.
//
// MicroPython 1.23 and later, mbedTLS 2.28 and 3.x, 32 and 64 bits.

#include <string.h>

#include "py/gc.h"
#include "py/objtype.h"
#include "py/runtime.h"

#if !MICROPY_PY_SSL || !MICROPY_SSL_MBEDTLS
#error "alpn needs MicroPython's tls module on mbedTLS"
#endif

#include "mbedtls/ctr_drbg.h"
#include "mbedtls/ssl.h"
#include "mbedtls/version.h"

#ifndef MBEDTLS_SSL_ALPN
#error "alpn needs mbedTLS with ALPN: on ESP32 put CONFIG_MBEDTLS_SSL_ALPN=y into sdkconfig.board, else define MBEDTLS_SSL_ALPN"
#endif

#if MBEDTLS_VERSION_NUMBER >= 0x04000000
#error "alpn knows mbedTLS 2.28 and 3.x, whose configuration names its random generator; this is a later one"
#endif

// mbedTLS 3 marks the members of its structures; mbedTLS 2 has no such mark.
#ifndef MBEDTLS_PRIVATE
#define MBEDTLS_PRIVATE(member) member
#endif

// RFC 7301 section 3.1: a name is 1 to 255 bytes long and travels behind one byte of length.
#define MAX_NAME_BYTES (255)

// All names with their length bytes. RFC 7301 allows 65,535, but a ClientHello that outgrows mbedTLS's output buffer
// (4 KiB on ESP32) would only fail in the handshake, with an error that does not say why.
#define MAX_OFFER_BYTES (2048)

extern const mp_obj_module_t mp_module_tls;

static const mp_obj_type_t *context_type(void) {
    return MP_OBJ_TO_PTR(mp_load_attr(MP_OBJ_FROM_PTR(&mp_module_tls), MP_QSTR_SSLContext));
}

// A heap block: MicroPython allocates contexts and sockets there, each at the head of a block of its own.
typedef struct {
    uintptr_t start;
    size_t size; // 0 if the pointer is not the head of a block
} block_t;

static block_t block_of(const void *head) {
    return (block_t) {(uintptr_t)head, gc_nbytes(head)};
}

static bool lies_in(const void *pointer, block_t block) {
    return (uintptr_t)pointer - block.start < block.size;
}

// Finds the configuration inside an SSLContext: MicroPython hands mbedTLS the context itself as the argument of the
// verify callback, and a generator that lives in the same object as the source of random numbers. NULL if nothing in
// the block fits, or if more than one place does.
static mbedtls_ssl_config *find_config(const void *context) {
    block_t block = block_of(context);
    mbedtls_ssl_config *found = NULL;
    for (size_t at = 0; at + sizeof(mbedtls_ssl_config) <= block.size; at += sizeof(void *)) {
        mbedtls_ssl_config *config = (mbedtls_ssl_config *)(block.start + at);
        if (config->MBEDTLS_PRIVATE(p_vrfy) == context
            && config->MBEDTLS_PRIVATE(f_vrfy) != NULL
            && config->MBEDTLS_PRIVATE(f_rng) == mbedtls_ctr_drbg_random
            && lies_in(config->MBEDTLS_PRIVATE(p_rng), block)) {
            if (found != NULL) {
                return NULL;
            }
            found = config;
        }
    }
    return found;
}

static void raise_unknown_layout(void) {
    mp_raise_msg(&mp_type_RuntimeError, MP_ERROR_TEXT("alpn does not know this MicroPython's tls objects"));
}

// Returns the length of a name as it travels, with its length byte; raises if it may not travel.
static size_t check_name(mp_obj_t name) {
    if (!mp_obj_is_str(name)) {
        mp_raise_TypeError(MP_ERROR_TEXT("ALPN name must be a str"));
    }
    size_t length;
    const char *text = mp_obj_str_get_data(name, &length);
    if (length == 0 || length > MAX_NAME_BYTES) {
        mp_raise_ValueError(MP_ERROR_TEXT("ALPN name must be 1 to 255 bytes"));
    }
    if (memchr(text, 0, length) != NULL) {
        mp_raise_ValueError(MP_ERROR_TEXT("ALPN name holds a NUL")); // mbedTLS would cut it there
    }
    return 1 + length;
}

static mp_obj_t alpn_set_protocols(mp_obj_t context, mp_obj_t protocols) {
    // The type itself: what is set on an instance of a subclass does not all reach mbedTLS.
    if (mp_obj_get_type(context) != context_type()) {
        mp_raise_TypeError(MP_ERROR_TEXT("tls.SSLContext wanted"));
    }
    size_t count;
    mp_obj_t *names;
    mp_obj_get_array(protocols, &count, &names);
    if (count == 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("no ALPN names"));
    }
    size_t offer_bytes = 0;
    for (size_t i = 0; i < count; ++i) {
        offer_bytes += check_name(names[i]);
        if (offer_bytes > MAX_OFFER_BYTES) {
            mp_raise_ValueError(MP_ERROR_TEXT("ALPN names are over 2048 bytes together"));
        }
    }
    mbedtls_ssl_config *config = find_config(MP_OBJ_TO_PTR(context));
    if (config == NULL) {
        raise_unknown_layout();
    }

    // mbedTLS keeps the list without copying it. The only pointer to it is in the configuration, and so in the context's
    // own heap block: the collector keeps it as long as the context, and no longer. The names are interned, as the
    // literals of a program are, because an open session points at the one that was chosen, whatever was set later.
    const char **list = m_new(const char *, count + 1);
    for (size_t i = 0; i < count; ++i) {
        list[i] = qstr_str(mp_obj_str_get_qstr(names[i]));
    }
    list[count] = NULL;
    if (mbedtls_ssl_conf_alpn_protocols(config, list) != 0) {
        mp_raise_ValueError(MP_ERROR_TEXT("mbedTLS refused the ALPN names"));
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(alpn_set_protocols_obj, alpn_set_protocols);

// Finds the session inside an SSLSocket: it points at the configuration of the context that the socket keeps, and reads
// and writes through a member of the same socket. Closing wipes it. NULL if the socket was closed.
static const mbedtls_ssl_context *find_session(const void *socket) {
    const mp_obj_type_t *type = context_type();
    block_t block = block_of(socket);
    bool has_context = false;
    for (size_t at = 0; at + sizeof(void *) <= block.size; at += sizeof(void *)) {
        const mp_obj_base_t *context = *(const mp_obj_base_t **)(block.start + at);
        if (gc_nbytes(context) < sizeof(mbedtls_ssl_config) || context->type != type) {
            continue;
        }
        const mbedtls_ssl_config *config = find_config(context);
        if (config == NULL) {
            continue;
        }
        has_context = true;
        for (size_t i = 0; i + sizeof(mbedtls_ssl_context) <= block.size; i += sizeof(void *)) {
            const mbedtls_ssl_context *session = (const mbedtls_ssl_context *)(block.start + i);
            if (session->MBEDTLS_PRIVATE(conf) == config
                && session->MBEDTLS_PRIVATE(f_send) != NULL
                && lies_in(session->MBEDTLS_PRIVATE(p_bio), block)) {
                return session;
            }
        }
    }
    if (!has_context) {
        raise_unknown_layout();
    }
    return NULL;
}

static mp_obj_t alpn_selected(mp_obj_t socket) {
    // `tls` does not export the type of its sockets; no Python class is a native type of that name.
    const mp_obj_type_t *type = mp_obj_get_type(socket);
    if (mp_obj_is_instance_type(type) || type->name != MP_QSTR_SSLSocket) {
        mp_raise_TypeError(MP_ERROR_TEXT("tls.SSLSocket wanted"));
    }
    const mbedtls_ssl_context *session = find_session(MP_OBJ_TO_PTR(socket));
    if (session == NULL) {
        mp_raise_ValueError(MP_ERROR_TEXT("socket is closed"));
    }
    // Before the end of the handshake there is no choice, or one that nobody has vouched for.
    if (session->MBEDTLS_PRIVATE(state) < MBEDTLS_SSL_HANDSHAKE_OVER) {
        mp_raise_ValueError(MP_ERROR_TEXT("handshake is not over"));
    }
    const char *name = mbedtls_ssl_get_alpn_protocol(session);
    return name == NULL ? mp_const_none : mp_obj_new_str(name, strlen(name));
}
static MP_DEFINE_CONST_FUN_OBJ_1(alpn_selected_obj, alpn_selected);

static const mp_rom_map_elem_t alpn_globals_table[] = {
    { MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_alpn) },
    { MP_ROM_QSTR(MP_QSTR_selected), MP_ROM_PTR(&alpn_selected_obj) },
    { MP_ROM_QSTR(MP_QSTR_set_protocols), MP_ROM_PTR(&alpn_set_protocols_obj) },
};
static MP_DEFINE_CONST_DICT(alpn_globals, alpn_globals_table);

const mp_obj_module_t mp_module_alpn = {
    .base = { &mp_type_module },
    .globals = (mp_obj_dict_t *)&alpn_globals,
};

MP_REGISTER_MODULE(MP_QSTR_alpn, mp_module_alpn);
