// swift-tools-version: 6.2
//
// The targets of Carillon. Arrows point downward only: a target knows those above it in this list
// and nothing else. There is no package dependency; the system libraries come in by module map.

import PackageDescription

let c: [CSetting] = [.unsafeFlags(["-Wall", "-Wextra", "-Werror", "-std=c17"])]

let package = Package(
  name: "carillon",
  dependencies: [],
  targets: [
    .target(name: "CReactor", cSettings: c),
  ]
)
