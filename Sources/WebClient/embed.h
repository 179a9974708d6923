// One entry of the table in WebClient.c: the file that FILE names, looked for beside this one.
//
// Included once for each file, and therefore without a guard: a macro cannot have a directive in
// it. The size is that of a second copy which is never made.

// clang-format off: it takes the braces around a directive for those of a block.
    {.name = FILE,
     .bytes = (const uint8_t[]){
#embed FILE
     },
     .count = sizeof((const uint8_t[]){
#embed FILE
     })},
// clang-format on

#undef FILE
