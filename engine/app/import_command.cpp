#include <cstdio>

#include "engine/app/commands.hpp"

namespace twinscreen {

const char* import_examples()
{
    return "Examples of each script in engine/twin/converters that turns models into bundles; "
           "each\n"
           "has a --help. They need Python 3.11 with numpy and safetensors; cluster/quickstart.sh\n"
           "installs one as ~/.cache/twinscreen/python/bin/python.\n"
           "\n"
           "your own network, from ONNX (no PyTorch needed)\n"
           "  export_model.py onnx net.onnx bundles/net --name net --mean 127.5 --scale 127.5\n"
           "your own network, from PyTorch\n"
           "  export_model.py torch my_models:build bundles/net --state net.safetensors \\\n"
           "      --name net --mean 127.5 --scale 127.5 --tap layer4\n"
           "ridge readouts of subjects and areas (SUBJECT.AREA.coef) on a node of such a network\n"
           "  convert_ridge_readouts.py readouts.safetensors bundles/net bundles/brain --tap "
           "layer4\n"
           "published fMRI and EEG models: standardiser, PCA and linear regressions on its taps\n"
           "  convert_linear_model.py weights_subject-01.npy bundles/vit bundles/subject_1 \\\n"
           "      --subject 1 --metadata metadata_subject-01.npy --area V1v\n"
           "compact networks of macaque V4 (Cowley et al. 2023)\n"
           "  convert_v4_compact.py DATA/v4-compact-models bundles\n"
           "SENSORIUM networks of mouse V1 (Willeke et al. 2022)\n"
           "  convert_sensorium.py DATA/sensorium-mouse-v1-twins bundles\n"
           "MobileNet v1 and SqueezeNet 1.1; CIFAR ResNets\n"
           "  convert_imagenet_backbones.py DATA/imagenet-backbones bundles\n"
           "  convert_cifar_resnets.py DATA/cifar10-resnets bundles\n"
           "\n"
           "Then:  twinscreen check bundles/net && twinscreen list bundles/net --taps";
}

int import_command()
{
    std::printf("%s\n", import_examples());
    return 0;
}

}  // namespace twinscreen
