#pragma once
/* The version of everything in this tree; certs/liaison-ca says the same. */

#define LIAISON_VERSION_TEXT "0.1.0"
