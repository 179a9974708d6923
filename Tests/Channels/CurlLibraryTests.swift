import Channels
import Testing

@Suite("libcurl is loaded at its first use")
struct CurlLibraryTests {
  @Test("loading it twice gives the same library")
  func twice() throws {
    let first = try CurlLibrary.load()
    let second = try CurlLibrary.load()
    #expect(first.version == second.version)
    #expect(first.version.contains(/^[78]\.\d+\.\d+/))
  }
}
