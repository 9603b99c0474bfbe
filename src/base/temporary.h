// Files being written: the names they have meanwhile, and their errors.
#pragma once
#include "base/error.h"
#include "base/file.h"

namespace autarky {

// Where an AtomicFile of that path is until it is finished, to write it by other means:
// PATH.tmp<process>, locked as long as it is open. What killed processes left for the same path,
// which no one holds a lock of, is removed when the next one is made.
fs::path temporary_name(const fs::path& path);

// InputError if an AtomicFile of that path is open in another process: for files that only mean
// something together with others written beside them.
void refuse_other_writers(const fs::path& path);

// The error, by errno, of a file that cannot be written: the user's (exit code 2) where the path is
// at fault, the machine's (1) where the disk is full or broken.
Error file_error(std::string_view verb, const fs::path& path);

// With its parents; file_error where that cannot be.
void make_folder(const fs::path& path);

}  // namespace autarky
