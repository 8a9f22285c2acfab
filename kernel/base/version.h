/* What was built; the Makefile gives both to version.c alone. */
#pragma once

extern const char version_number[]; /* "0.1.0" */
extern const char version_commit[]; /* abbreviated git commit, or "unknown" */
extern const char version_arch[];   /* "x86_64" */
