import Checkpoints
import Foundation
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite struct FileSystemTests {
  struct Interrupted: Error, Equatable {}

  func text(_ path: String) throws -> String { String(decoding: try FileSystem.read(path), as: UTF8.self) }

  @Test func writesReplacesAndReads() throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/a.txt"
      for content in ["first", "", String(repeating: "ü", count: 3_000_000)] {
        try FileSystem.writeAtomically(content, to: path)
        #expect(try text(path) == content)
      }
      #expect(try FileSystem.contents(of: directory) == ["a.txt"])
    }
  }

  @Test func replacesALinkNotItsTarget() throws {
    try withTemporaryDirectory { directory in
      try FileSystem.writeAtomically("kept", to: directory + "/target")
      try FileManager.default.createSymbolicLink(
        atPath: directory + "/link", withDestinationPath: directory + "/target")
      try FileSystem.writeAtomically("new", to: directory + "/link")
      #expect(try text(directory + "/target") == "kept")
      #expect(try text(directory + "/link") == "new")
    }
  }

  @Test func aDirectoryInTheWayIsNamed() throws {
    try withTemporaryDirectory { directory in
      try FileSystem.createDirectory(directory + "/a/b/c/")
      #expect(FileSystem.isDirectory(directory + "/a/b/c"))
      let error = #expect(throws: CheckpointError.self) { try FileSystem.writeAtomically("x", to: directory + "/a/b") }
      #expect(error?.description == "\(directory)/a/b: cannot create: Is a directory")
      #expect(try FileSystem.contents(of: directory + "/a") == ["b"])
    }
  }

  @Test func publishesOnlyWhatSucceeded() throws {
    try withTemporaryDirectory { directory in
      let out = directory + "/new/out/"
      #expect(throws: Interrupted.self) {
        try FileSystem.publishDirectory(out) { temporary in
          try FileSystem.writeAtomically("x", to: temporary + "/x")
          #expect(!FileSystem.exists(out))
          throw Interrupted()
        }
      }
      #expect(try FileSystem.contents(of: directory + "/new").isEmpty)
      let result = try FileSystem.publishDirectory(out) { temporary in
        try FileSystem.writeAtomically("x", to: temporary + "/x")
        return 42
      }
      #expect(result == 42)
      #expect(try FileSystem.contents(of: directory + "/new") == ["out"])
      #expect(try text(out + "x") == "x")
    }
  }

  @Test func overwritesOnlyWhenAsked() throws {
    try withTemporaryDirectory { directory in
      let out = directory + "/out"
      try FileSystem.createDirectory(out)
      try FileSystem.publishDirectory(out) { try FileSystem.writeAtomically("1", to: $0 + "/one") }
      var wasCalled = false
      #expect(throws: CheckpointError.outputExists(path: out)) {
        try FileSystem.publishDirectory(out) { _ in wasCalled = true }
      }
      #expect(!wasCalled)
      #expect(throws: Interrupted.self) {
        try FileSystem.publishDirectory(out, overwrite: true) { _ in throw Interrupted() }
      }
      #expect(try FileSystem.contents(of: out) == ["one"])
      try FileSystem.publishDirectory(out, overwrite: true) { try FileSystem.writeAtomically("2", to: $0 + "/two") }
      #expect(try FileSystem.contents(of: out) == ["two"])
      #expect(try FileSystem.contents(of: directory) == ["out"])
      let file = directory + "/file"
      try FileSystem.writeAtomically("", to: file)
      #expect(throws: CheckpointError.outputIsNotADirectory(path: file)) {
        try FileSystem.publishDirectory(file, overwrite: true) { _ in }
      }
    }
  }

  @Test func publishesBehindALink() throws {
    try withTemporaryDirectory { directory in
      let (real, link) = (directory + "/real", directory + "/link")
      try FileSystem.createDirectory(real)
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: real)
      try FileSystem.publishDirectory(link) { try FileSystem.writeAtomically("1", to: $0 + "/one") }
      #expect(throws: CheckpointError.outputExists(path: link)) { try FileSystem.publishDirectory(link) { _ in } }
      #expect(try FileSystem.contents(of: real) == ["one"])
      #expect(try FileSystem.contents(of: directory) == ["link", "real"])
    }
  }

  @Test func aPipeIsRefusedWithoutWaiting() throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/pipe"
      #expect(mkfifo(path, 0o600) == 0)
      #expect(throws: CheckpointError.notARegularFile(path: path)) { try FileSystem.read(path) }
    }
  }

  @Test func copiesWhatDescribesTheModel() throws {
    try withTemporaryDirectory { directory in
      let (source, target) = (directory + "/a", directory + "/b")
      try FileSystem.createDirectory(source)
      try FileSystem.createDirectory(target)
      for name in ["config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors", "notes.md"] {
        try FileSystem.writeAtomically(name, to: source + "/" + name)
      }
      let copied = try FileSystem.copyAuxiliaryModelFiles(from: source, to: target)
      #expect(copied == ["config.json", "tokenizer.json", "chat_template.jinja"])
      #expect(try FileSystem.contents(of: target) == copied.sorted())
      #expect(try text(target + "/tokenizer.json") == "tokenizer.json")
    }
  }

  @Test(arguments: [("a/b", "a"), ("a/b/", "a"), ("b", "."), ("/b", "/"), ("/", "/"), ("/a/b//", "/a")])
  func parents(_ path: String, _ parent: String) { #expect(FileSystem.parent(of: path) == parent) }

  @Test func manyWritersOfOneFileLeaveOneWhole() throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/a"
      DispatchQueue.concurrentPerform(iterations: 16) { index in
        #expect(throws: Never.self) {
          try FileSystem.writeAtomically(String(repeating: "\(index % 10)", count: 100_000), to: path)
        }
      }
      let content = try text(path)
      #expect(content.count == 100_000 && Set(content).count == 1)
      #expect(try FileSystem.contents(of: directory) == ["a"])
    }
  }
}
