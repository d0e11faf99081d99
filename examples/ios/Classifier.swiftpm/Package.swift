// swift-tools-version:5.7
// An app that Xcode and Swift Playgrounds open as it is. The package of your model is expected beside it:
//   edgeort package BUNDLE --ios -o examples/ios/Edgeort
import AppleProductTypes
import PackageDescription

let package = Package(
  name: "Classifier",
  platforms: [.iOS("16.0")],
  products: [
    .iOSApplication(
      name: "Classifier",
      targets: ["AppModule"],
      bundleIdentifier: "org.example.classifier",
      displayVersion: "1.0",
      bundleVersion: "1",
      supportedDeviceFamilies: [.pad, .phone],
      supportedInterfaceOrientations: [.portrait])
  ],
  dependencies: [.package(path: "../Edgeort")],
  targets: [.executableTarget(name: "AppModule", dependencies: [.product(name: "Edgeort_classifier", package: "Edgeort")], path: ".")]
)
