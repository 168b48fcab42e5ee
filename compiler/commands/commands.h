/* One function a command. argv[0] is the command's name. Returns the exit code:
 * 0 right, 1 the input is wrong, 2 the call is wrong; 70 (through bug()) an internal fault. */
#ifndef GM_COMMANDS_COMMANDS_H
#define GM_COMMANDS_COMMANDS_H

#define COMMAND(name, function, synopsis, help) int function(int argc, char **argv);
#include "commands/commands.def"

#endif
