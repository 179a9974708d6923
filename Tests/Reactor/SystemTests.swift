// Files, variables and names of the system.

import Glibc
import Reactor
import Testing

@Suite("The process and its files")
struct SystemTests {
  @Test("a text that was written to a file is read from it, and a shorter one takes its place")
  func files() throws {
    let path = "/tmp/carillon-reactor-\(getpid())"
    defer { unlink(path) }
    // More than one read takes.
    let text = String(repeating: "0123456789", count: 10_000)
    #expect(BlockingFile.write(text, to: path))
    #expect(BlockingFile.read(path) == text)
    #expect(BlockingFile.write("", to: path))
    #expect(BlockingFile.read(path) == "")
  }

  @Test("a file that cannot be had is no text")
  func noFile() {
    #expect(BlockingFile.read("/proc/no such file") == nil)
    // A directory can be opened and not read.
    #expect(BlockingFile.read("/proc") == nil)
    #expect(!BlockingFile.write("text", to: "/proc/no such file"))
    #expect(!BlockingFile.write("text", to: Int32(-1)))
  }

  @Test("a variable that is set has its value")
  func environment() {
    #expect(Environment.value(of: "PATH")?.isEmpty == false)
    #expect(Environment.value(of: "CARILLON_IS_NOT_SET") == nil)
  }

  @Test("a numeric host is its own address, and an impossible one has none")
  func hosts() {
    #expect(HostLookup.numericAddress(of: "127.0.0.1") == "127.0.0.1")
    #expect(HostLookup.numericAddress(of: "::1") == "::1")
    #expect(HostLookup.numericAddress(of: "not a host") == nil)
  }

  @Test("the process has processors and files")
  func resources() {
    #expect(ProcessResources.processorCount >= 1)
    let files = ProcessResources.raiseOpenFilesLimit()
    var limit = rlimit()
    #expect(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
    #expect(files == limit.rlim_cur && limit.rlim_cur == limit.rlim_max)
  }
}
