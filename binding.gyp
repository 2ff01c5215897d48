# The addon as users get it: node-gyp runs this at `npm install`, after scripts/check-libmilter.js.
# native/CMakeLists.txt builds the same sources for debugging and under sanitizers. Here they are compiled a folder at a time,
# in a third of the time.
{
  'targets': [
    {
      'target_name': 'tsmilter',
      'sources': ['<!@(node scripts/native-build.js units)'],
      'include_dirs': ['native'],
      'defines': ['NAPI_VERSION=8', 'NAPI_CPP_EXCEPTIONS', 'NODE_ADDON_API_DISABLE_DEPRECATED'],
      # node-addon-api and libmilter as system headers: the warnings below are then only our own. The compiler runs in
      # build/; a path relative to it keeps blanks in the path of a project out of the makefile.
      # The standard stays node-gyp's (C++17 on Node 20, C++20 on 24): the sources compile as both.
      'cflags_cc': [
        '-isystem <!(node scripts/native-build.js napi build)',
        '<!@(node scripts/libmilter-flags.js --cflags)',
        '-fvisibility=hidden',
        '-fvisibility-inlines-hidden',
        '-pthread',
        '-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Wconversion', '-Wnon-virtual-dtor', '-Woverloaded-virtual',
        '<!@(node scripts/native-build.js werror)',
      ],
      'cflags_cc!': ['-fno-exceptions', '-fno-rtti'],
      # Debian's node-gyp links libnode, since its Node is a shared library. Another Node, which has no libnode, would
      # then load a second Node into the process. All that the addon needs is in the program that loads it.
      'libraries!': ['-lnode'],
      'libraries': ['<!@(node scripts/libmilter-flags.js --libs)', '-pthread'],
      'configurations': {
        'Release': {
          'cflags!': ['-O3'],
          'cflags': ['-O2', '-g1'],
        },
      },
      'conditions': [
        ['OS=="linux" or OS=="freebsd"', {
          # libmilter's threads run this code, and do not end with the worker thread that loaded it: never unload it.
          'ldflags': ['-Wl,-z,nodelete'],
        }],
        ['OS=="mac"', {
          # Xcode's generator ignores cflags_cc.
          'xcode_settings': {
            'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
            'GCC_ENABLE_CPP_RTTI': 'YES',
            'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
            'CLANG_CXX_LIBRARY': 'libc++',
            'GCC_OPTIMIZATION_LEVEL': '2',
            'OTHER_CPLUSPLUSFLAGS': [
              '-isystem <!(node scripts/native-build.js napi build)',
              '<!@(node scripts/libmilter-flags.js --cflags)',
              '-Wall', '-Wextra', '-Wpedantic', '-Wshadow', '-Wconversion',
              '<!@(node scripts/native-build.js werror)',
            ],
          },
        }],
      ],
    },
  ],
}
