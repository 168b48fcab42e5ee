/* Parts of gmlpc that are loaded when they are needed, since what they link costs time or is not everywhere. */
#ifndef GM_SUPPORT_MODULE_H
#define GM_SUPPORT_MODULE_H

/* What a module exports as `symbol`, or NULL, and dlerror() says why. `file` lies beside the program or the library that this code is part of,
 * in the folder above (a build directory's programs), where it was installed, or anywhere dlopen looks; the environment variable `variable` names
 * another path. Loaded once, and never unloaded. */
void *module_symbol(const char *file, const char *variable, const char *symbol);

#endif
