// Files, environment variables, host names and resource limits.

import Glibc
import Reactor
import Testing

@Suite("The process and its files")
struct SystemTests {
  @Test("a written file is read back, and a shorter text replaces it")
  func files() throws {
    let path = "/tmp/carillon-reactor-\(getpid())"
    defer { unlink(path) }
    // More than the size of one read.
    let text = String(repeating: "0123456789", count: 10_000)
    #expect(BlockingFile.write(text, to: path))
    #expect(BlockingFile.read(path) == text)
    #expect(BlockingFile.write("", to: path))
    #expect(BlockingFile.read(path) == "")
  }

  @Test("reading or writing an inaccessible file fails")
  func noFile() {
    #expect(BlockingFile.read("/proc/no such file") == nil)
    // A directory can be opened but not read.
    #expect(BlockingFile.read("/proc") == nil)
    #expect(!BlockingFile.write("text", to: "/proc/no such file"))
    let error = #expect(throws: SystemError.self) { try BlockingFile.write("text", to: Int32(-1)) }
    #expect(error?.description == "write failed: Bad file descriptor")
  }

  @Test("a set variable has its value, and an unset one has none")
  func environment() {
    #expect(Environment.value(of: "PATH")?.isEmpty == false)
    #expect(Environment.value(of: "CARILLON_IS_NOT_SET") == nil)
  }

  @Test("a numeric host is its own address, and an invalid one has none")
  func hosts() {
    #expect(HostLookup.numericAddress(of: "127.0.0.1") == "127.0.0.1")
    #expect(HostLookup.numericAddress(of: "::1") == "::1")
    #expect(HostLookup.numericAddress(of: "not a host") == nil)
    #expect(HostLookup.addresses(of: "127.0.0.1").map(\.text) == ["127.0.0.1"])
    #expect(HostLookup.addresses(of: "::1").map(\.text) == ["::1"])
    #expect(HostLookup.addresses(of: "::ffff:127.0.0.1").map(\.text) == ["127.0.0.1"])
    #expect(HostLookup.addresses(of: "not a host").isEmpty)
    let local = HostLookup.addresses(of: "localhost")
    #expect(!local.isEmpty && local.allSatisfy(\.isLoopback))
  }

  @Test("the processor count is positive, and the limit of open files is raised to its maximum")
  func resources() {
    #expect(ProcessResources.processorCount >= 1)
    let files = ProcessResources.raiseOpenFilesLimit()
    var limit = rlimit()
    #expect(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
    #expect(files == limit.rlim_cur && limit.rlim_cur == limit.rlim_max)
  }

  @Test("memory that the process touches is counted as resident")
  func memory() throws {
    let before = try #require(ProcessResources.residentByteCount)
    let touched = [UInt8](repeating: 1, count: 64 << 20)
    let after = try #require(ProcessResources.residentByteCount)
    // Tests that run at the same time may free some.
    #expect(before > 1 << 20 && after > before + 16 << 20, "\(before), \(after)")
    withExtendedLifetime(touched) {}
  }
}
