pluginManagement {
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
}

dependencyResolutionManagement {
    repositories {
        google()
        mavenCentral()
    }
}

rootProject.name = "classify"
include(":app")
include(":classifier")
project(":classifier").projectDir = file("package/classifier") // edgeort package ... --android -o package
