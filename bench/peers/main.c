#include "filter.h"

int main(int argc, char** argv) { return run_filter(argc, argv); }
