// swift-tools-version: 6.2
//
// The targets of Carillon. A target depends only on targets above it in this list. There are no
// package dependencies; the system libraries are imported through module maps.

import PackageDescription

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

// Tests use pointers and threads as scaffolding, where strict memory safety would only add noise.
// All other settings apply to them, too.
let strictTests: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let c: [CSetting] = [.unsafeFlags(["-Wall", "-Wextra", "-Werror", "-std=c17"])]
// #embed needs C23.
let c23: [CSetting] = [.unsafeFlags(["-Wall", "-Wextra", "-Werror", "-std=c23"])]

let package = Package(
  name: "carillon",
  products: [
    .executable(name: "carillon", targets: ["CarillonCommand"]),
    .library(name: "Carillon", targets: ["Carillon"]),
    // Only for tests: the server for the conformance cases of Engine.IO and Socket.IO.
    .executable(name: "carillon-socketio-fixture", targets: ["SocketIOFixture"]),
  ],
  dependencies: [],
  targets: [
    .systemLibrary(
      name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .systemLibrary(
      name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

    .target(name: "Algorithms", swiftSettings: strict),
    // Not a system library, because nothing links libcurl: it is loaded at its first use.
    .target(name: "CCurl", cSettings: c),
    .target(name: "CReactor", cSettings: c),
    .target(name: "Reactor", dependencies: ["CReactor"], swiftSettings: strict),
    .target(name: "Delivery", dependencies: ["Algorithms", "Reactor"], swiftSettings: strict),
    .target(name: "WebClient", exclude: ["client", "pages", "package.json"], cSettings: c23),
    .target(name: "Broadcast", swiftSettings: strict),
    .target(name: "Wire", swiftSettings: strict),
    .target(name: "Cryptography", dependencies: ["COpenSSL", "CZlib"], swiftSettings: strict),
    .target(name: "Tokens", dependencies: ["Cryptography", "Wire"], swiftSettings: strict),
    .target(
      name: "Notifications", dependencies: ["Algorithms", "Wire"], swiftSettings: strict),
    .target(
      name: "Storage",
      dependencies: [
        "Algorithms", "Notifications", "Broadcast", "Cryptography", "Reactor", "Wire", "CSQLite",
      ],
      swiftSettings: strict),
    .target(
      name: "Channels",
      dependencies: [
        "Algorithms", "Notifications", "Broadcast", "Reactor", "Wire", "Cryptography", "CCurl",
      ],
      swiftSettings: strict),
    .target(
      name: "Server",
      dependencies: [
        "Algorithms", "Reactor", "Delivery", "WebClient", "Broadcast", "Wire", "Cryptography",
        "Tokens", "Notifications", "Storage", "Channels",
      ],
      swiftSettings: strict),
    .target(
      name: "Carillon",
      dependencies: ["Reactor", "Wire", "Tokens", "Notifications", "Server"],
      swiftSettings: strict),
    .executableTarget(
      name: "EmbeddingExample", dependencies: ["Carillon"], swiftSettings: strict),
    .target(
      name: "LoadClient", dependencies: ["Algorithms", "Reactor", "Wire"],
      swiftSettings: strict),
    .executableTarget(
      name: "CarillonCommand",
      dependencies: ["Channels", "Reactor", "Wire", "Tokens", "Server", "LoadClient"],
      swiftSettings: strict),

    .executableTarget(name: "Baseline", path: "Benchmarks/Baseline", cSettings: c),
    .target(
      name: "BenchmarkSupport", dependencies: ["Reactor", "LoadClient", "Tokens", "Wire"],
      path: "Benchmarks/Support", swiftSettings: strict),
    .executableTarget(
      name: "FanOut", dependencies: ["BenchmarkSupport", "Reactor", "LoadClient"],
      path: "Benchmarks/FanOut", swiftSettings: strict),
    .executableTarget(
      name: "Bystanders", dependencies: ["BenchmarkSupport", "Reactor", "LoadClient", "Wire"],
      path: "Benchmarks/Bystanders", swiftSettings: strict),

    .executableTarget(
      name: "StoreWrite", dependencies: ["Notifications", "Storage"],
      path: "Benchmarks/StoreWrite", swiftSettings: strict),

    .executableTarget(
      name: "SocketIOFixture", dependencies: ["Reactor", "Server", "Tokens"],
      path: "Tests/SocketIOFixture", swiftSettings: strict),
    .target(
      name: "TestSupport", path: "Tests/Support",
      swiftSettings: strictTests),
    // Apart from `TestSupport`, which the thread sanitizer's package has without OpenSSL.
    .target(
      name: "TestSigning", dependencies: ["COpenSSL"], path: "Tests/Signing",
      swiftSettings: strictTests),
    .testTarget(
      name: "AlgorithmsTests", dependencies: ["Algorithms", "TestSupport"],
      path: "Tests/Algorithms", swiftSettings: strictTests),
    .testTarget(
      name: "ReactorTests", dependencies: ["Reactor", "CReactor", "TestSupport"],
      path: "Tests/Reactor", swiftSettings: strictTests),
    .testTarget(
      name: "BroadcastTests", dependencies: ["Broadcast", "TestSupport"], path: "Tests/Broadcast",
      exclude: ["races"], swiftSettings: strictTests),
    .testTarget(
      name: "DeliveryTests", dependencies: ["Delivery", "TestSupport"], path: "Tests/Delivery",
      swiftSettings: strictTests),
    .testTarget(
      name: "WireTests", dependencies: ["Wire", "TestSupport"], path: "Tests/Wire",
      swiftSettings: strictTests),
    .testTarget(
      name: "CryptographyTests",
      dependencies: ["Cryptography", "CZlib", "TestSigning", "TestSupport"],
      path: "Tests/Cryptography", swiftSettings: strictTests),
    .testTarget(
      name: "TokensTests",
      dependencies: ["Tokens", "Cryptography", "Wire", "TestSigning", "TestSupport"],
      path: "Tests/Tokens", swiftSettings: strictTests),
    .testTarget(
      name: "NotificationsTests", dependencies: ["Notifications", "Wire", "TestSupport"],
      path: "Tests/Notifications", exclude: ["zones"], swiftSettings: strictTests),
    .testTarget(
      name: "StorageTests",
      dependencies: [
        "Storage", "Notifications", "Broadcast", "Reactor", "CReactor", "Wire", "TestSupport",
      ],
      path: "Tests/Storage", exclude: ["formats"], swiftSettings: strictTests),
    .testTarget(
      name: "ChannelsTests",
      dependencies: [
        "Channels", "Broadcast", "Notifications", "Reactor", "Cryptography", "Wire", "TestSupport",
      ],
      path: "Tests/Channels", swiftSettings: strictTests),
    .testTarget(
      name: "ServerTests",
      dependencies: [
        "Server", "Broadcast", "Reactor", "CReactor", "Cryptography", "Delivery", "Notifications",
        "Tokens", "Wire", "TestSupport",
      ],
      path: "Tests/Server", swiftSettings: strictTests),
    .testTarget(
      name: "LoadClientTests", dependencies: ["Reactor", "LoadClient", "Wire", "TestSupport"],
      path: "Tests/LoadClient", swiftSettings: strictTests),
    .testTarget(
      name: "CarillonTests",
      dependencies: [
        "Carillon", "LoadClient", "Notifications", "Reactor", "Server", "Tokens", "Wire",
        "TestSupport",
      ],
      path: "Tests/Carillon", swiftSettings: strictTests),
    // Optimized in debug builds, too: these tests read every file of the repository.
    .testTarget(
      name: "TidyTests", dependencies: ["TestSupport"], path: "Tests/Tidy",
      swiftSettings: strictTests + [.unsafeFlags(["-O"], .when(configuration: .debug))]),
  ]
)
