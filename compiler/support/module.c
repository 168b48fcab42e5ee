/* Finding and loading a module: see module.h. */
#include "support/module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

/* A module in the folder of `whole`, or near it. */
static void *open_near(const char *whole, const char *file)
{
    static const char *const places[] = {"", "../", "gmlpc/", "../" GMLPC_LIBDIR "/gmlpc/"};
    const char *slash = strrchr(whole, '/');
    char path[PATH_BYTES + 64];
    void *module = NULL;
    for (size_t i = 0; slash && !module && i < sizeof places / sizeof places[0]; i++) {
        int length = snprintf(path, sizeof path, "%.*s/%s%s", (int)(slash - whole), whole, places[i], file);
        if (length < (int)sizeof path && access(path, F_OK) == 0) module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    return module;
}

/* An address in the program or library that this code is part of. */
static const char anchor;

static void *open_module(const char *file, const char *variable)
{
    const char *own = getenv(variable);
    if (own && *own) return dlopen(own, RTLD_NOW | RTLD_LOCAL);
    char self[PATH_BYTES];
    Dl_info here;
    void *module = NULL;
    if (dladdr(&anchor, &here) && here.dli_fname) module = open_near(here.dli_fname, file);
    ssize_t length = module ? -1 : readlink("/proc/self/exe", self, sizeof self - 1);
    if (length > 0) {
        self[length] = '\0';
        module = open_near(self, file);
    }
    return module ? module : dlopen(file, RTLD_NOW | RTLD_LOCAL);
}

void *module_symbol(const char *file, const char *variable, const char *symbol)
{
    void *module = open_module(file, variable);
    return module ? dlsym(module, symbol) : NULL;
}
