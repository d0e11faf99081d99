plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "edgeort.example"
    compileSdk = 35

    defaultConfig {
        applicationId = "edgeort.example"
        minSdk = 24
        targetSdk = 35
        versionCode = 1
        versionName = "1"
    }

    androidResources {
        noCompress += "plan" // the model is mapped where it lies in the app
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }

    kotlinOptions {
        jvmTarget = "1.8"
    }
}

dependencies {
    implementation(project(":classifier"))
    implementation("org.jetbrains.kotlinx:kotlinx-coroutines-android:1.9.0")
}
