// SPDX-License-Identifier: MIT
#pragma once

#include <cstdlib>
#include <string>

/// A file in references/, which make_references.py wrote.
inline std::string reference(const std::string& name) {
    const std::string here = __FILE__;
    return here.substr(0, here.size() - std::string("references.hpp").size()) + "references/" + name;
}

/// The Python to run: $GRADUS_PYTHON or python3; "" if it lacks a module.
inline std::string python_with(const std::string& module) {
    const char* const given = std::getenv("GRADUS_PYTHON");
    const std::string python = given && *given ? given : "python3";
    const std::string ask = python + " -c 'import " + module + "' >/dev/null 2>&1";
    return std::system(ask.c_str()) == 0 ? python : "";
}

/// Runs a Python program with these arguments; true if it ends well.
inline bool run_python(const std::string& python, const std::string& program, const std::string& arguments) {
    return std::system((python + " -c '" + program + "' " + arguments).c_str()) == 0;
}
