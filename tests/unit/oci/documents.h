/*
 * What the tests of documents share: digests that are told apart by one letter, and descriptors as text.
 */
#ifndef DRAY_TESTS_UNIT_OCI_DOCUMENTS_H
#define DRAY_TESTS_UNIT_OCI_DOCUMENTS_H

#include "base/memory.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TIMES_8(x)   x x x x x x x x
#define DIGEST_OF(x) "sha256:" TIMES_8(TIMES_8(x))

#define OCI_INDEX    "application/vnd.oci.image.index.v1+json"
#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_CONFIG   "application/vnd.oci.image.config.v1+json"
#define OCI_LAYER    "application/vnd.oci.image.layer.v1.tar+gzip"
#define OCI_ARTIFACT "application/vnd.oci.artifact.manifest.v1+json"
#define DOCKER_LIST  "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_IMAGE "application/vnd.docker.distribution.manifest.v2+json"

/* A descriptor; @more is text behind its three fields, as `,"key":...`. */
#define ENTRY(type, letter, size, more)                                                                                \
	"{\"mediaType\":\"" type "\",\"digest\":\"" DIGEST_OF(letter) "\",\"size\":" size more "}"

#define TYPE(type)   "\"mediaType\":\"" type "\""
#define CONFIG       "\"config\":" ENTRY(OCI_CONFIG, "c", "7", "")
#define LAYERS(list) "\"layers\":[" list "]"
#define LAYER        ENTRY(OCI_LAYER, "1", "10", "")
#define CHILD        ENTRY(OCI_MANIFEST, "a", "100", "")

#endif
